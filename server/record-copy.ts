/**
 * Copies from a record in an arena into a response, by 32-bit words: both sides are 8-aligned.
 *
 * Offsets are those of storage/record.ts: event time at 16, LSN at 24.
 */
import type { Arena } from '../storage/index.ts';
import type { ResponseBytes } from './operation.ts';

const EVENT_TIME_WORD = 4;
const LSN_WORD = 6;

/** Above this `set` with a `subarray` (some 60 ns before the first byte) beats the loop (0.5 ns a word). */
const LOOP_BYTES_MAX = 1024;

export function copyRecordTimes(
  source: Uint32Array,
  record: number,
  target: Uint32Array,
  timeWord: number,
  lsnWord: number,
): void {
  const word = record >>> 2;
  target[timeWord] = source[word + EVENT_TIME_WORD]!;
  target[timeWord + 1] = source[word + EVENT_TIME_WORD + 1]!;
  target[lsnWord] = source[word + LSN_WORD]!;
  target[lsnWord + 1] = source[word + LSN_WORD + 1]!;
}

/** Copies `bytes` (a multiple of 4) from `from` in the arena to `to` in the response. */
export function copyRow(arena: Arena, from: number, bytes: number, output: ResponseBytes, to: number): void {
  if (bytes <= LOOP_BYTES_MAX) copyWords(arena.words, from >>> 2, output.words, to >>> 2, bytes >>> 2);
  else output.bytes.set(arena.bytes.subarray(from, from + bytes), to);
}

function copyWords(source: Uint32Array, from: number, target: Uint32Array, to: number, count: number): void {
  for (let index = 0; index < count; index++) target[to + index] = source[from + index]!;
}
