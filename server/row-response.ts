/**
 * The body of a GET's response, written from the places that a lookup found (protocol/requests/get.ts has its layout).
 *
 * Two passes over the places: `measureRows` sums the rows' bytes, because a frame's length stands before them; then
 * `writeRows` copies. Between them nothing calls the store, so the places hold.
 */
import { GET_ROW_OFFSETS_AT, getEventTimesAt, getLsnsAt, getRowsAt } from '../protocol/index.ts';
import { type ArenaTable, RECORD_MISSING, type ReadBatch, recordPayloadOffset } from '../storage/index.ts';
import type { ResponseBytes } from './operation.ts';
import { copyRecordTimes, copyRow } from './record-copy.ts';

/** Bytes of the rows that were found for keys [from, to) of the batch. */
export function measureRows(batch: ReadBatch, arenas: ArenaTable, from: number, to: number): number {
  let bytes = 0;
  for (let index = from; index < to; index++) {
    const record = batch.offset[index]!;
    if (record === RECORD_MISSING) continue;
    const { view, words } = arenas.get(batch.arena[index]!);
    bytes += record + words[record >>> 2]! - recordPayloadOffset(view, record);
  }
  return bytes;
}

/** Fills the body at `body` with the answers for keys [from, to) of the batch, every byte of it. */
export function writeRows(
  batch: ReadBatch,
  arenas: ArenaTable,
  from: number,
  to: number,
  output: ResponseBytes,
  body: number,
): void {
  const count = to - from;
  const { words } = output;
  const offsetsWord = (body + GET_ROW_OFFSETS_AT) >>> 2;
  const timesWord = (body + getEventTimesAt(count)) >>> 2;
  const lsnsWord = (body + getLsnsAt(count)) >>> 2;
  const rowsAt = body + getRowsAt(count);
  words[body >>> 2] = count;
  words[(body >>> 2) + 1] = 0;
  // The word before the event times is padding when count + 1 is odd; otherwise it is written again below.
  words[timesWord - 1] = 0;
  words[offsetsWord] = 0;
  let end = 0;
  for (let index = 0; index < count; index++) {
    const record = batch.offset[from + index]!;
    if (record === RECORD_MISSING) {
      clearTimes(words, timesWord + 2 * index, lsnsWord + 2 * index);
    } else {
      const arena = arenas.get(batch.arena[from + index]!);
      copyRecordTimes(arena.words, record, words, timesWord + 2 * index, lsnsWord + 2 * index);
      const row = recordPayloadOffset(arena.view, record);
      const rowBytes = record + arena.words[record >>> 2]! - row;
      copyRow(arena, row, rowBytes, output, rowsAt + end);
      end += rowBytes;
    }
    words[offsetsWord + index + 1] = end;
  }
}

function clearTimes(words: Uint32Array, timeWord: number, lsnWord: number): void {
  words[timeWord] = 0;
  words[timeWord + 1] = 0;
  words[lsnWord] = 0;
  words[lsnWord + 1] = 0;
}
