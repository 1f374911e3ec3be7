/**
 * What a shard has on disk beside its blocks: the journal and the index checkpoint, read without changing them.
 */
import type { Disk } from './environment.ts';
import { readIndexCheckpoint } from './index-checkpoint-reader.ts';
import { IndexTable } from './index-table.ts';
import { replayJournal } from './journal-replay.ts';
import { PARTITION_COUNT } from './limits.ts';
import { RECORD_MALFORMED, readRecordDigestLo, verifyRecord } from './record.ts';
import { StorageError } from './storage-error.ts';

export interface VerifiedFiles {
  readonly journalRecords: number;
  readonly journalBytes: number;
  /** Why a start would be refused, or undefined. */
  readonly journalFault: string | undefined;
  /** Why a start would build the index from all blocks; undefined where the checkpoint is right, or none is there. */
  readonly indexFault: string | undefined;
}

export interface VerifyFilesOptions {
  readonly disk: Disk;
  /** Holds journal/ and index/. */
  readonly directory: string;
  readonly shardIndex: number;
  readonly shardCount: number;
  /** Of the checkpoint. */
  readonly journalPosition: number;
  readonly journalSegmentBytes: number;
  readonly pause: () => Promise<void>;
}

export async function verifyFiles(options: VerifyFilesOptions): Promise<VerifiedFiles> {
  return { ...verifyJournal(options), indexFault: await indexFaultOf(options) };
}

function verifyJournal(options: VerifyFilesOptions): Omit<VerifiedFiles, 'indexFault'> {
  const { disk, directory, journalSegmentBytes, journalPosition } = options;
  let journalRecords = 0;
  let journalBytes = 0;
  let journalFault: string | undefined;
  try {
    replayJournal({
      disk,
      directory: `${directory}/journal`,
      segmentBytes: journalSegmentBytes,
      fromPosition: journalPosition,
      onFrame: (bytes, offset, end, position) => {
        journalRecords += checkFrame(options, bytes, offset, end, position);
        journalBytes += end - offset;
      },
    });
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    journalFault = error.message;
  }
  return { journalRecords, journalBytes, journalFault };
}

/** The frame's records; throws JOURNAL_CORRUPT. */
function checkFrame(
  { shardIndex, shardCount }: VerifyFilesOptions,
  bytes: Uint8Array,
  offset: number,
  end: number,
  position: number,
): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let records = 0;
  for (let at = offset; at < end; records++) {
    const next = verifyRecord(view, at, end);
    const fault =
      next === RECORD_MALFORMED
        ? 'is malformed'
        : (readRecordDigestLo(view, at) & (PARTITION_COUNT - 1)) % shardCount !== shardIndex
          ? "is another shard's"
          : undefined;
    if (fault !== undefined) {
      throw new StorageError(
        'JOURNAL_CORRUPT',
        `journal frame at position ${position}: record ${records} ${fault}`,
      );
    }
    at = next;
  }
  return records;
}

async function indexFaultOf(options: VerifyFilesOptions): Promise<string | undefined> {
  const { disk, directory, shardIndex, shardCount, pause } = options;
  const partitionCount = Math.ceil((PARTITION_COUNT - shardIndex) / shardCount);
  const read = await readIndexCheckpoint({
    disk,
    directory: `${directory}/index`,
    index: new IndexTable({ partitionCount }),
    misfit: (header) =>
      header.shardIndex === shardIndex && header.shardCount === shardCount
        ? undefined
        : `it is of shard ${header.shardIndex} of ${header.shardCount}`,
    onProgress: () => undefined,
    pause,
  });
  return typeof read === 'string' && read !== '' ? read : undefined;
}
