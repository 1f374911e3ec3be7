/**
 * The order in which a flush writes a sealed write buffer: by group, then partition, then LSN.
 *
 * So a level-0 block holds one group and an ascending partition range, and a scan of one partition reads few of them.
 *
 * Two walks of each partition's chain: one counts its records by group, one places them. Work is linear in the
 * records, and comes in steps of FLUSH_ORDER_PARTITIONS partitions so that no turn of the event loop is long.
 */
import { strict as assert } from 'node:assert';
import { FLUSH_COUNT_RECORDS, FLUSH_ORDER_PARTITIONS, RECORD_GROUP_MAX } from './limits.ts';
import type { WriteBuffer } from './write-buffer.ts';

const NO_RECORD = -1;

/** Record numbers of the buffer in writing order. `pause` is awaited between steps. */
export async function flushOrder(
  buffer: WriteBuffer,
  localPartitionCount: number,
  pause: () => Promise<void>,
): Promise<Uint32Array> {
  const order = new Uint32Array(buffer.count);
  const groupEnds = await groupStarts(buffer, pause);
  const cursors = new Uint32Array(RECORD_GROUP_MAX + 1);
  for (let from = 0; from < localPartitionCount; from += FLUSH_ORDER_PARTITIONS) {
    const to = Math.min(from + FLUSH_ORDER_PARTITIONS, localPartitionCount);
    for (let partition = from; partition < to; partition++) {
      placePartition(buffer, partition, groupEnds, cursors, order);
    }
    await pause();
  }
  return order;
}

/** Where each group's records begin in the order. */
async function groupStarts(buffer: WriteBuffer, pause: () => Promise<void>): Promise<Uint32Array> {
  const starts = new Uint32Array(RECORD_GROUP_MAX + 2);
  for (let from = 0; from < buffer.count; from += FLUSH_COUNT_RECORDS) {
    countGroups(buffer, from, Math.min(from + FLUSH_COUNT_RECORDS, buffer.count), starts);
    await pause();
  }
  for (let group = 1; group < starts.length; group++) {
    starts[group] = (starts[group] as number) + (starts[group - 1] as number);
  }
  assert(starts[RECORD_GROUP_MAX + 1] === buffer.count);
  return starts;
}

/** Adds one to the start of the next group for each of the records. */
function countGroups(buffer: WriteBuffer, from: number, to: number, starts: Uint32Array): void {
  const { groups } = buffer;
  for (let record = from; record < to; record++) {
    const after = (groups[record] as number) + 1;
    starts[after] = (starts[after] as number) + 1;
  }
}

/**
 * Appends one partition's records to their groups. `groupEnds` says where each group's next record goes and moves on;
 * `cursors` is all zero before and after.
 */
function placePartition(
  buffer: WriteBuffer,
  partition: number,
  groupEnds: Uint32Array,
  cursors: Uint32Array,
  order: Uint32Array,
): void {
  const { groups } = buffer;
  for (let record = buffer.head(partition); record !== NO_RECORD; record = buffer.before(record)) {
    const group = groups[record] as number;
    cursors[group] = (cursors[group] as number) + 1;
  }
  // The first record met of a group is its last in LSN order: from here its cursor runs backwards.
  for (let record = buffer.head(partition); record !== NO_RECORD; record = buffer.before(record)) {
    const group = groups[record] as number;
    const left = (cursors[group] as number) - 1;
    order[(groupEnds[group] as number) + left] = record;
    cursors[group] = left;
  }
  for (let record = buffer.head(partition); record !== NO_RECORD; record = buffer.before(record)) {
    const group = groups[record] as number;
    groupEnds[group] = (groupEnds[group] as number) + 1;
  }
}
