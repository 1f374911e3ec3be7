/** The i64 event times of PUT, PATCH and DELETE bodies, as numbers of µs within ±(2^53 − 1). */

import type { ByteReader } from '../byte-reader.ts';
import type { ByteWriter } from '../byte-writer.ts';
import { readInt64, writeInt64 } from '../int64.ts';
import { describeValue, ProtocolError } from '../protocol-error.ts';

export function encodeEventTimes(
  writer: ByteWriter,
  eventTimes: ArrayLike<number>,
  count: number,
  pick: Uint32Array | null,
): void {
  const at = writer.reserveUnzeroed(8 * count);
  const view = writer.view;
  for (let row = 0; row < count; row++) {
    const micros = eventTimes[pick === null ? row : pick[row]!]!;
    if (!Number.isSafeInteger(micros)) {
      throw new ProtocolError(
        'EVENT_TIME_INVALID',
        `row ${row}: event time is ${describeValue(micros)}; allowed: an integer of microseconds within ±(2^53 − 1)`,
      );
    }
    writeInt64(view, at + 8 * row, micros);
  }
}

/** Reads `count` event times into `eventTimes`, which has room for them; bounds are checked first. */
export function decodeEventTimes(reader: ByteReader, count: number, eventTimes: Float64Array): void {
  const at = reader.take(8 * count);
  const view = reader.view;
  for (let row = 0; row < count; row++) {
    const micros = readInt64(view, at + 8 * row);
    if (Number.isNaN(micros)) {
      throw new ProtocolError('EVENT_TIME_INVALID', `row ${row}: event time is outside ±(2^53 − 1) µs`);
    }
    eventTimes[row] = micros;
  }
}
