/** Event times survive within ±(2^53 − 1) µs and are refused beyond, with their row. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteReader, ByteWriter } from '../../../protocol/index.ts';
import { decodeEventTimes, encodeEventTimes } from '../../../protocol/requests/event-times.ts';
import { refusal } from '../frames.ts';

const TIMES = [0, -1, 1_700_000_000_123_456, 2 ** 53 - 1, -(2 ** 53) + 1];

test('event times survive, all or picked', () => {
  const writer = new ByteWriter();
  encodeEventTimes(writer, TIMES, 5, null);
  encodeEventTimes(writer, TIMES, 2, Uint32Array.of(2, 1));
  const times = new Float64Array(7);
  decodeEventTimes(new ByteReader(writer.finish()), 7, times);
  assert.deepEqual([...times], [...TIMES, TIMES[2], TIMES[1]]);
});

test('times that are none are refused where they are written', () => {
  for (const time of [Number.NaN, 1.5, 2 ** 53, Number.POSITIVE_INFINITY, undefined as unknown as number]) {
    assert.throws(
      () => encodeEventTimes(new ByteWriter(), [0, time], 2, null),
      refusal('EVENT_TIME_INVALID', /^row 1: event time is .*allowed/),
    );
  }
});

test('times that are none are refused where they are read', () => {
  const bytes = new Uint8Array(16);
  bytes[15] = 0x80;
  assert.throws(
    () => decodeEventTimes(new ByteReader(bytes), 2, new Float64Array(2)),
    refusal('EVENT_TIME_INVALID', /^row 1/),
  );
  assert.throws(
    () => decodeEventTimes(new ByteReader(bytes), 3, new Float64Array(3)),
    refusal('MALFORMED_REQUEST', /24 bytes needed/),
  );
});
