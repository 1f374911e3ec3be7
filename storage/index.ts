/** storage's door: one shard's engine, the reader that scan threads use, and what their users need. */
export { type Arena, ArenaTable, arenaOf } from './arena.ts';
export { BACKUP_CHUNK_BYTES, ChunkWriter, readChunk, readChunkTable } from './backup-chunk.ts';
export * from './backup-keys.ts';
export * from './backup-manifest.ts';
export { BackupView, type MetaValue } from './backup-view.ts';
export { READ_POINT_KEY_HI } from './block-key.ts';
export { type BlockSnapshot, type BlockStore, openBlockStore } from './block-store.ts';
export { CHECKPOINT_EMPTY, type Checkpoint, decodeCheckpoint } from './checkpoint.ts';
export { loadChecksum } from './checksum.ts';
export { COMPACTION_SETTINGS_DEFAULT, type CompactionSettings } from './compaction.ts';
export { COMPACTION_STATE_EMPTY, type CompactionState, decodeCompactionState } from './compaction-state.ts';
export type { DamagedBlock } from './damage.ts';
export type { Clock, Disk, DiskFile, Random } from './environment.ts';
export { type GroupPolicies, type GroupPolicy, LATENESS_SECONDS_DEFAULT } from './group-policy.ts';
export { removeIndexCheckpoint } from './index-checkpoints.ts';
export { type InspectedShard, inspectBlocks, type UnitFigures } from './inspect-blocks.ts';
export { type ErasedKey, isRecordOf } from './key-erasure.ts';
export {
  EVENT_TIME_FUTURE_MICROS_MAX,
  PREFETCH_SLOTS_MAX,
  PREFETCH_SLOTS_MIN,
  RECORD_HEADER_BYTES,
  REQUEST_KEY_BYTES,
} from './limits.ts';
export { RECORD_MISSING, ReadBatch } from './read-batch.ts';
export { decodeReadPoint } from './read-point.ts';
export * from './read-view.ts';
export {
  KIND_DELETE,
  KIND_PUT,
  RECORD_DIGEST_LO_AT,
  RECORD_EVENT_TIME_AT,
  RECORD_FLAGS_AT,
  RECORD_KEY_BYTES_AT,
  readRecordEventTime,
  readRecordLsn,
  recordPayloadOffset,
} from './record.ts';
export { RecordMover } from './record-mover.ts';
export type { RecoveryProgress } from './recovery.ts';
export { planRepair, type RepairPlan, repairBlocks } from './repair-shard.ts';
export type { ShardStatus, ShardStoreOptions } from './shard-options.ts';
export { openShardSource, type ShardSource } from './shard-source.ts';
export { openShardStore, ShardStore } from './shard-store.ts';
export { SnapshotReader, SnapshotStep } from './snapshot.ts';
export { type CorruptBlock, StorageError, type StorageErrorCode } from './storage-error.ts';
export { ValueVerifier } from './stored-value.ts';
export { type VerifiedFiles, verifyFiles } from './verify-files.ts';
export { type Finding, type FindingKind, type VerifiedBlocks, verifyBlocks } from './verify-shard.ts';
export { type RowCursor, VersionMerge } from './version-merge.ts';
export {
  type PatchMerge,
  RESULT_APPLIED,
  RESULT_HISTORY,
  RESULT_SUPERSEDED,
  refusalResult,
  UNCONDITIONAL,
  type WriteRequest,
} from './write-request.ts';
