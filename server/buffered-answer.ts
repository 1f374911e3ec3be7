/**
 * A shard's answer to its scan thread: the versions of some partitions that are still in the write buffer, gathered over as
 * many turns of the event loop as it takes.
 *
 * I1  A turn gathers at most BUFFERED_SLICE_BYTES, and one partition more.
 * I2  Each partition is read in one turn, and all of them at one flush number: when a flush has finished meanwhile, what was gathered is
 *     thrown away, for its records may be in blocks by now, and it begins again. A flush takes longer than an answer.
 */
import type { ShardStore } from '../storage/index.ts';
import { BUFFERED_PARTITION_BYTES, BUFFERED_SLICE_BYTES } from './scan-limits.ts';

export interface BufferedAnswer {
  readonly flushNumber: number;
  /** Records back to back. */
  readonly bytes: Uint8Array;
}

/** `pause` resolves in a later turn. Rejects with what the store refuses it with. */
export async function gatherBuffered(
  store: Pick<ShardStore, 'bufferedVersions'>,
  group: number,
  partitions: Uint16Array,
  pause: () => Promise<void>,
): Promise<BufferedAnswer> {
  for (;;) {
    const answer = await gatherOnce(store, group, partitions, pause);
    if (answer !== undefined) return answer;
  }
}

/** Undefined: a flush has finished. */
async function gatherOnce(
  store: Pick<ShardStore, 'bufferedVersions'>,
  group: number,
  partitions: Uint16Array,
  pause: () => Promise<void>,
): Promise<BufferedAnswer | undefined> {
  const pieces: Uint8Array[] = [];
  let flushNumber = -1;
  let totalBytes = 0;
  let sliceBytes = 0;
  for (let at = 0; at < partitions.length; at += 1) {
    const found = store.bufferedVersions(group, partitions.subarray(at, at + 1));
    if (at === 0) flushNumber = found.flushNumber;
    else if (found.flushNumber !== flushNumber) return undefined;
    const { length } = found.bytes;
    if (length > 0) pieces.push(found.bytes);
    totalBytes += length;
    sliceBytes += length + BUFFERED_PARTITION_BYTES;
    if (sliceBytes >= BUFFERED_SLICE_BYTES && at + 1 < partitions.length) {
      sliceBytes = 0;
      await pause();
    }
  }
  return { flushNumber, bytes: joined(pieces, totalBytes) };
}

/** One piece is handed on as it is. */
function joined(pieces: readonly Uint8Array[], totalBytes: number): Uint8Array {
  if (pieces.length === 1) return pieces[0] as Uint8Array;
  const bytes = new Uint8Array(totalBytes);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
