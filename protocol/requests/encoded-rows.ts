/**
 * Rows (of a PUT) or patches (of a PATCH) as they stand at a frame's end:
 *
 *   u32 offsets[count + 1], padded to 8 | rows
 *
 * Offsets count from the first row; each row is a multiple of 8 bytes and the last ends where the frame does.
 */

import type { ByteReader } from '../byte-reader.ts';
import type { ByteWriter } from '../byte-writer.ts';
import { ProtocolError } from '../protocol-error.ts';

export interface EncodedRows {
  /** The buffer that the rows stand in: a decoded request's is the frame's. */
  rows: Uint8Array;
  /** Row i is rows[rowOffsets[i], rowOffsets[i + 1]). */
  rowOffsets: Uint32Array;
}

/** Appends `count` rows, the picked ones or all, to the frame that began at `start`. */
export function appendRows(
  writer: ByteWriter,
  start: number,
  { rows, rowOffsets }: EncodedRows,
  count: number,
  pick: Uint32Array | null,
): void {
  const offsetsAt = writer.reserve(4 * (count + 1));
  writer.align8(start);
  const rowsAt = writer.length;
  for (let index = 0; index < count; index++) {
    const row = pick === null ? index : pick[index]!;
    writer.rawRange(rows, rowOffsets[row]!, rowOffsets[row + 1]!);
    writer.view.setUint32(offsetsAt + 4 * (index + 1), writer.length - rowsAt, true);
  }
}

/** Reads the offsets, made absolute; `code` is what a row of an impossible length is refused with. */
export function decodeRowOffsets(
  reader: ByteReader,
  count: number,
  code: 'ROW_INVALID' | 'PATCH_INVALID',
  rowOffsets: Uint32Array = new Uint32Array(count + 1),
): Uint32Array {
  const at = reader.take(4 * (count + 1));
  reader.align8();
  const start = reader.offset;
  const space = reader.remaining;
  const view = reader.view;
  let before = 0;
  if (view.getUint32(at, true) !== 0)
    throw new ProtocolError('MALFORMED_REQUEST', 'row offsets do not start at 0');
  rowOffsets[0] = start;
  for (let row = 0; row < count; row++) {
    const end = view.getUint32(at + 4 * (row + 1), true);
    if (end <= before || end > space || (end & 7) !== 0) {
      throw new ProtocolError(
        code,
        `row ${row}: it reaches from ${before} to ${end}; rows are multiples of 8 within ${space} bytes`,
      );
    }
    rowOffsets[row + 1] = start + end;
    before = end;
  }
  if (before !== space)
    throw new ProtocolError('MALFORMED_REQUEST', `rows end at ${before} of ${space} bytes`);
  return rowOffsets;
}
