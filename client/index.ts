/**
 * client/: the TypeScript SDK, a pure user of the wire protocol.
 *
 * Reading order: client.ts; dispatcher.ts, link.ts and connection.ts (how a request travels); keyed-operation.ts and
 * its users (what travels); scan.ts, scan-feed.ts and scan-stream.ts.
 */
export type {
  AddStep,
  AppendStep,
  BoundStep,
  Erasure,
  ErrorCodeName,
  Feature,
  FeatureType,
  GroupSchema,
  GroupSpec,
  KeyColumn,
  KeyType,
  ListItemType,
  NodeStatus,
  SetStep,
} from '../protocol/index.ts';
export { add, append, max, min, set } from '../protocol/index.ts';
export type { BackupFeed } from './backup-feed.ts';
export type {
  CallOptions,
  ColumnRows,
  CreateGroupOptions,
  DeleteOptions,
  MatrixOptions,
  PatchOptions,
  PutOptions,
  ReadOptions,
  WriteOptions,
} from './call-options.ts';
export { Millrace } from './client.ts';
export { MillraceError } from './errors.ts';
export { FeatureMatrix, type MatrixData } from './feature-matrix.ts';
export { Group } from './group.ts';
export type { GroupChangeInput, GroupSpecInput } from './group-spec.ts';
export { type Address, type ConnectOptions, DEFAULT_PORT } from './options.ts';
export type { PutColumns } from './row-chunk.ts';
export type { VersionedRow } from './row-read.ts';
export type {
  CompactGroupSpec,
  EntityKey,
  EntityKeyOf,
  FeatureDeclaration,
  PatchRowOf,
  PutRow,
  PutRowOf,
  ReadRowOf,
  Row,
  TimeInput,
} from './row-types.ts';
export type { Scan, ScanOptions, ScanPart } from './scan.ts';
export { type RowRefusal, type RowStatus, WriteResult } from './write-result.ts';
