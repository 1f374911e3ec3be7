/**
 * protocol/: what client and server agree on. Pure bytes and rules: no sockets, no clock, no state beyond a decoder's.
 *
 * Reading order: limits, error-code, schema; frame-header and frame-decoder; requests/; key-codec and key-batch;
 * row-layout and the row-* files. docs/formats/wire.md and row.md say the same for other languages.
 */

export { ByteReader } from './byte-reader.ts';
export { ByteWriter, copyBytes } from './byte-writer.ts';
export * from './error-code.ts';
export { checkDefault, defaultValue } from './feature-default.ts';
export { type Frame, FrameDecoder } from './frame-decoder.ts';
export * from './frame-header.ts';
export { GroupLayouts, type ReadSlot, readSlots } from './group-layouts.ts';
export { readInt64, readUint64, writeInt64 } from './int64.ts';
export { decodeKeyBatch, encodeKeyBatch, encodeKeys, KeyBatch } from './key-batch.ts';
export {
  decodeKey,
  decodeKeyInto,
  encodeKey,
  fixedKeyBytes,
  type KeyValue,
  timestampMicros,
  verifyKey,
} from './key-codec.ts';
export * from './limits.ts';
export {
  decodeMessagePack,
  decodeMessagePackMap,
  encodeMessagePack,
  type MessagePackMap,
} from './message-pack.ts';
export * from './operation.ts';
export { partitionOf } from './partition.ts';
export { describeValue, ProtocolError } from './protocol-error.ts';
export * from './requests/alter-group.ts';
export * from './requests/backup.ts';
export * from './requests/create-group.ts';
export * from './requests/delete.ts';
export * from './requests/drop-group.ts';
export * from './requests/erase.ts';
export * from './requests/error.ts';
export * from './requests/get.ts';
export * from './requests/get-group.ts';
export * from './requests/get-matrix.ts';
export { readGroupId } from './requests/group-id.ts';
export * from './requests/hello.ts';
export * from './requests/list-groups.ts';
export * from './requests/map.ts';
export * from './requests/patch.ts';
export * from './requests/ping.ts';
export * from './requests/put.ts';
export * from './requests/read-point.ts';
export * from './requests/scan.ts';
export * from './requests/scan-cancel.ts';
export * from './requests/scan-credit.ts';
export * from './requests/status.ts';
export { readSchemaVersion, WriteScratch } from './requests/write-head.ts';
export {
  RESULT_APPLIED,
  RESULT_HISTORY,
  RESULT_REFUSED_MIN,
  RESULT_SUPERSEDED,
  type WriteResponse,
} from './requests/write-response.ts';
export {
  decodeFeature,
  decodeFeatures,
  decodeRow,
  isPresent,
  rowBytesAt,
  rowSchemaVersionAt,
} from './row-decode.ts';
export { encodeRow } from './row-encode.ts';
export { encodeRowColumns, type FeatureColumn } from './row-encode-columns.ts';
export * from './row-layout.ts';
export {
  type AddStep,
  type AppendStep,
  add,
  append,
  type BoundStep,
  max,
  min,
  PatchStep,
  type SetStep,
  set,
} from './row-patch.ts';
export { encodePatch } from './row-patch-encode.ts';
export { type PatchRefusal, RowPatcher, type ViewedBytes } from './row-patch-merge.ts';
export { verifyPatch } from './row-patch-verify.ts';
export { RowReader } from './row-reader.ts';
export type { FeatureValue, ListItem, MessagePackValue } from './row-value.ts';
export { verifyRow } from './row-verify.ts';
export * from './schema.ts';
export { changeSchema, type GroupChange } from './schema-change.ts';
export * from './schema-validation.ts';
export { isUtf8, readText } from './text.ts';
export * from './version.ts';
export { xxh64 } from './xxh64.ts';
