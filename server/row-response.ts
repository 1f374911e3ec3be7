/**
 * The body of a GET's response, written from the places that a lookup found (protocol/requests/get.ts has its layout).
 *
 * Two passes over the places: `measureRows` sums the rows' bytes, because a frame's length stands before them; then
 * `writeRows` copies. Between them nothing calls the store, so the places hold.
 */
import {
  FRAME_BYTES_MAX,
  GET_ROW_OFFSETS_AT,
  getEventTimesAt,
  getLsnsAt,
  getRowsAt,
  OPERATIONS,
  ProtocolError,
  RESPONSE_HEADER_BYTES,
  writeResponseHeader,
} from '../protocol/index.ts';
import { type ArenaTable, RECORD_MISSING, type ReadBatch, recordPayloadOffset } from '../storage/index.ts';
import { READ_TURN_BYTES } from './limits.ts';
import type { ResponseBytes } from './operation.ts';
import type { OutputChunk, OutputChunkPool, OutputPiece } from './output-buffer.ts';
import { ownResponse, type SlicedResponse } from './pending-reads.ts';
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

/**
 * A GET's response that is filled slice by slice: a head of its own, and chunks of rows. These are the connection's, used again: with
 * buffers of its own a response of 16 MiB made V8 collect all garbage two or three times, 8 to 20 ms each.
 */
export class SlicedRows implements SlicedResponse {
  readonly #count: number;
  readonly #head: ResponseBytes;
  readonly #chunks: OutputChunkPool;
  readonly #rows: OutputPiece[] = [];
  /** What is being filled, up to `#end`. */
  #chunk: OutputChunk | null = null;
  #end = 0;
  #rowBytes = 0;

  constructor(count: number, chunks: OutputChunkPool) {
    this.#chunks = chunks;
    this.#count = count;
    this.#head = ownResponse(RESPONSE_HEADER_BYTES + getRowsAt(count));
    this.#head.words[RESPONSE_HEADER_BYTES >>> 2] = count;
  }

  add(batch: ReadBatch, arenas: ArenaTable, from: number): number {
    const { taken, bytes } = this.#measure(batch, arenas);
    if (getRowsAt(this.#count) + this.#rowBytes + bytes > FRAME_BYTES_MAX - RESPONSE_HEADER_BYTES) {
      refuseRowsSize(this.#count, getRowsAt(this.#count) + this.#rowBytes + bytes);
    }
    const { words } = this.#head;
    const offsetsWord = (RESPONSE_HEADER_BYTES + GET_ROW_OFFSETS_AT) >>> 2;
    const timesWord = (RESPONSE_HEADER_BYTES + getEventTimesAt(this.#count)) >>> 2;
    const lsnsWord = (RESPONSE_HEADER_BYTES + getLsnsAt(this.#count)) >>> 2;
    for (let index = 0; index < taken; index++) {
      const record = batch.offset[index]!;
      const key = from + index;
      if (record !== RECORD_MISSING) {
        const arena = arenas.get(batch.arena[index]!);
        copyRecordTimes(arena.words, record, words, timesWord + 2 * key, lsnsWord + 2 * key);
        const row = recordPayloadOffset(arena.view, record);
        const rowBytes = record + arena.words[record >>> 2]! - row;
        const chunk = this.#room(rowBytes);
        copyRow(arena, row, rowBytes, chunk, this.#end);
        this.#end += rowBytes;
        this.#rowBytes += rowBytes;
      }
      words[offsetsWord + key + 1] = this.#rowBytes;
    }
    return taken;
  }

  finish(correlationId: number): readonly OutputPiece[] {
    this.#closeChunk();
    const { view, bytes } = this.#head;
    const frameBytes = bytes.length + this.#rowBytes;
    writeResponseHeader(view, 0, frameBytes, OPERATIONS.GET, 0, correlationId, 0);
    return [{ bytes, chunk: null }, ...this.#rows];
  }

  /** A chunk with room for so many bytes at `#end`: rows lie whole in one. */
  #room(byteLength: number): OutputChunk {
    if (this.#chunk !== null && this.#end + byteLength <= this.#chunk.bytes.length) return this.#chunk;
    this.#closeChunk();
    this.#chunk = this.#chunks.acquire(byteLength);
    return this.#chunk;
  }

  #closeChunk(): void {
    const chunk = this.#chunk;
    if (chunk === null) return;
    this.#rows.push({ bytes: chunk.bytes.subarray(0, this.#end), chunk });
    this.#chunk = null;
    this.#end = 0;
  }

  /** How many rows of the batch to take, and their bytes. */
  #measure(batch: ReadBatch, arenas: ArenaTable): { taken: number; bytes: number } {
    let bytes = 0;
    for (let index = 0; index < batch.count; index++) {
      const rowBytes = measureRows(batch, arenas, index, index + 1);
      if (index > 0 && bytes + rowBytes > READ_TURN_BYTES) return { taken: index, bytes };
      bytes += rowBytes;
    }
    return { taken: batch.count, bytes };
  }
}

export function refuseRowsSize(count: number, bytes: number): never {
  throw new ProtocolError(
    'BATCH_TOO_LARGE',
    `the rows of these ${count} keys take ${bytes} bytes or more, and one response at most ${FRAME_BYTES_MAX}: ask for fewer`,
  );
}
