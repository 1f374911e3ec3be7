/**
 * What PUT, PATCH and DELETE answer, one result a row in the request's order:
 *
 *   0 u32 count | 4 u32 0 | 8 u8 result[count], padded to 8 | u64 lsn[count]
 *
 * APPLIED: the row is the latest now. SUPERSEDED: a newer event is there; this one is kept as history. HISTORY: a
 * backfilled row, which is history whatever is there. From RESULT_REFUSED_MIN on a result is an error code's number:
 * that row was not written, whatever became of the others, and its LSN is 0.
 */

import { type ByteWriter, copyOf } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import { beginResponse, endFrame, responseBody } from '../frame-header.ts';
import { readUint64, writeInt64 } from '../int64.ts';
import { ProtocolError } from '../protocol-error.ts';
import { align8 } from '../row-layout.ts';

export const RESULT_APPLIED = 0;
export const RESULT_SUPERSEDED = 1;
export const RESULT_HISTORY = 2;
/** Codes of framing and of whole requests have lower numbers, so no row's refusal is taken for a result. */
export const RESULT_REFUSED_MIN = 16;

const FIXED_BYTES = 8;

export interface WriteResponse {
  /** A RESULT_… or, from RESULT_REFUSED_MIN on, the number of the code that refused the row. */
  results: Uint8Array;
  lsns: Float64Array;
}

/** `operation` is PUT, PATCH or DELETE. `results` and `lsns` may be longer than `count`. */
export function appendWriteResponse(
  writer: ByteWriter,
  operation: number,
  correlationId: number,
  count: number,
  results: Uint8Array,
  lsns: ArrayLike<number>,
): void {
  const start = beginResponse(writer, operation, correlationId);
  const lsnsAt = align8(FIXED_BYTES + count);
  const body = writer.reserve(lsnsAt + 8 * count);
  const { bytes, view } = writer;
  view.setUint32(body, count, true);
  for (let row = 0; row < count; row++) {
    bytes[body + FIXED_BYTES + row] = results[row]!;
    writeInt64(view, body + lsnsAt + 8 * row, lsns[row]!);
  }
  endFrame(writer, start);
}

export function readWriteResponse(frame: Frame): WriteResponse {
  const body = responseBody(frame);
  const space = frame.end - body;
  const count = space < FIXED_BYTES ? 0 : frame.view.getUint32(body, true);
  if (
    count === 0 ||
    align8(FIXED_BYTES) + 9 * count > space ||
    align8(FIXED_BYTES + count) + 8 * count !== space
  ) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `a write answer for ${count} rows does not fit its ${space} bytes`,
    );
  }
  const lsnsAt = body + align8(FIXED_BYTES + count);
  const lsns = new Float64Array(count);
  for (let row = 0; row < count; row++) {
    lsns[row] = readUint64(frame.view, lsnsAt + 8 * row);
    const result = frame.bytes[body + FIXED_BYTES + row]!;
    if (result > RESULT_HISTORY && result < RESULT_REFUSED_MIN) {
      throw new ProtocolError('MALFORMED_REQUEST', `row ${row} of a write answer has the result ${result}`);
    }
  }
  return { results: copyOf(frame.bytes, body + FIXED_BYTES, body + FIXED_BYTES + count), lsns };
}
