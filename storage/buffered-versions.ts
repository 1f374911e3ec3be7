/**
 * The versions that are durable but not yet in blocks, handed to a scan as bytes.
 *
 * Only the chains of the partitions asked for are walked. The answer is bounded by the write buffer.
 */
import { type BufferChunks, placeOffset, placeSlot } from './buffer-chunks.ts';
import type { WriteBuffer } from './write-buffer.ts';

const NO_RECORD = -1;

/** Records of `group` in the partitions, back to back, each partition's newest first. */
export function collectBuffered(
  buffers: readonly WriteBuffer[],
  chunks: BufferChunks,
  shardCount: number,
  group: number,
  partitions: Uint16Array,
): Uint8Array {
  let bytes = 0;
  visitRecords(buffers, chunks, shardCount, group, partitions, (_source, from, to) => {
    bytes += to - from;
  });
  const collected = new Uint8Array(bytes);
  let at = 0;
  visitRecords(buffers, chunks, shardCount, group, partitions, (source, from, to) => {
    collected.set(source.subarray(from, to), at);
    at += to - from;
  });
  return collected;
}

function visitRecords(
  buffers: readonly WriteBuffer[],
  chunks: BufferChunks,
  shardCount: number,
  group: number,
  partitions: Uint16Array,
  visit: (source: Uint8Array, from: number, to: number) => void,
): void {
  for (const buffer of buffers) {
    for (const partition of partitions) {
      const localPartition = (partition / shardCount) | 0;
      let record = buffer.head(localPartition);
      for (; record !== NO_RECORD; record = buffer.before(record)) {
        if (buffer.groups[record] !== group) continue;
        const place = buffer.places[record] as number;
        const { arena } = chunks.chunk(placeSlot(place));
        const from = placeOffset(place);
        visit(arena.bytes, from, from + (arena.words[from >>> 2] as number));
      }
    }
  }
}
