/** GET_MATRIX survives in both directions, and a shape that does not fit its frame is refused. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ByteWriter,
  beginGetMatrixResponse,
  DTYPE_FLOAT32,
  DTYPE_FLOAT64,
  decodeGetMatrixRequest,
  decodeGetMatrixResponse,
  encodeGetMatrixRequest,
  encodeGetMatrixResponse,
  matrixShape,
} from '../../../protocol/index.ts';
import { cutTo, damaged, frameOf, refusal } from '../frames.ts';
import { EVENT_TIME, OPTIONS, routeKeys, SAMPLE_MESSAGES } from '../sample-messages.ts';
import { ROUTE } from '../sample-schemas.ts';

const REQUEST = frameOf(SAMPLE_MESSAGES['get-matrix-request']!);
const ANSWER = frameOf(SAMPLE_MESSAGES['get-matrix-response']!);

test('a request survives', () => {
  const request = decodeGetMatrixRequest(REQUEST, ROUTE.key);
  assert.equal(request.groupId, 5);
  assert.equal(request.dtype, DTYPE_FLOAT32);
  assert.ok(request.withEventTimes);
  assert.deepEqual([...request.featureIds], [1, 4, 2]);
  assert.equal(request.keys.count, 2);
});

test('a bad dtype, flag or feature count is refused', () => {
  const refuses = (change: (view: DataView) => void, code: string, message: RegExp): void => {
    assert.throws(() => decodeGetMatrixRequest(damaged(REQUEST, change), ROUTE.key), refusal(code, message));
  };
  refuses((view) => view.setUint16(42, 2, true), 'MALFORMED_REQUEST', /dtype 2/);
  refuses((view) => view.setUint16(44, 2, true), 'MALFORMED_REQUEST', /flags 2/);
  refuses((view) => view.setUint16(46, 0, true), 'BATCH_EMPTY', /0 features/);
  refuses((view) => view.setUint16(46, 4097, true), 'BATCH_TOO_LARGE', /4097 features.*4096/);
  refuses((view) => view.setUint16(46, 4096, true), 'MALFORMED_REQUEST', /8192 bytes needed/);
  for (let length = 48; length < REQUEST.end - REQUEST.offset; length++) {
    assert.throws(
      () => decodeGetMatrixRequest(cutTo(REQUEST, length), ROUTE.key),
      refusal('MALFORMED_REQUEST'),
    );
  }
});

test('an answer says where its parts are', () => {
  const shape = decodeGetMatrixResponse(ANSWER);
  assert.deepEqual(shape, matrixShape(2, 3, DTYPE_FLOAT32, true));
  const body = ANSWER.offset + 16;
  const { bytes, view } = ANSWER;
  assert.deepEqual([bytes[body + shape.foundAt], bytes[body + shape.foundAt + 1]], [1, 0]);
  assert.equal(bytes[body + shape.validityAt], 0b101);
  assert.equal(view.getBigInt64(body + shape.eventTimesAt, true), BigInt(EVENT_TIME));
  assert.equal(view.getFloat32(body + shape.dataAt + 8, true), 12.5);
  assert.ok(Number.isNaN(view.getFloat32(body + shape.dataAt + 12, true)));
});

test('every part is 8-aligned, with and without event times, in both widths', () => {
  for (const rows of [1, 7, 8, 9]) {
    for (const columns of [1, 8, 9, 50]) {
      for (const withTimes of [true, false]) {
        for (const dtype of [DTYPE_FLOAT32, DTYPE_FLOAT64]) {
          const shape = matrixShape(rows, columns, dtype, withTimes);
          assert.equal(shape.validityStride, Math.ceil(columns / 8));
          assert.ok([shape.validityAt, shape.eventTimesAt, shape.dataAt].every((at) => at % 8 === 0));
          assert.ok(shape.validityAt >= shape.foundAt + rows);
          assert.ok(shape.eventTimesAt >= shape.validityAt + rows * shape.validityStride);
          const frame = frameOf((w) =>
            encodeGetMatrixResponse(w, 1, shape, {
              found: new Uint8Array(rows),
              validity: new Uint8Array(rows * shape.validityStride),
              eventTimes: withTimes ? new Float64Array(rows) : null,
              data: new Float64Array(rows * columns),
            }),
          );
          assert.deepEqual(decodeGetMatrixResponse(frame), shape);
        }
      }
    }
  }
});

test('an answer whose shape does not fit its frame is refused', () => {
  for (let length = 16; length < ANSWER.end - ANSWER.offset; length++) {
    assert.throws(() => decodeGetMatrixResponse(cutTo(ANSWER, length)), refusal('MALFORMED_REQUEST'));
  }
  const refuses = (change: (view: DataView) => void): void => {
    assert.throws(
      () => decodeGetMatrixResponse(damaged(ANSWER, change)),
      refusal('MALFORMED_REQUEST', /takes \d+ bytes/),
    );
  };
  refuses((view) => view.setUint32(16, 0xffffffff, true));
  refuses((view) => view.setUint32(20, 0xffffffff, true));
  refuses((view) => view.setUint32(24, 2, true));
  refuses((view) => view.setUint16(28, 2, true));
  refuses((view) => view.setUint16(30, 0, true));
});

test('an answer over the frame limit is refused before it is made', () => {
  const writer = new ByteWriter();
  assert.throws(
    () => beginGetMatrixResponse(writer, 1, matrixShape(16384, 4096, DTYPE_FLOAT64, false)),
    refusal('FRAME_TOO_LARGE', /16384 × 4096/),
  );
  assert.equal(writer.bytes.length, 0);
});

test('picked keys go in the order picked', () => {
  const parts = { groupId: 5, dtype: 1, withEventTimes: false, featureIds: [1], keys: routeKeys() };
  const frame = frameOf((w) => encodeGetMatrixRequest(w, OPTIONS, parts, Uint32Array.of(1, 1, 0)));
  const request = decodeGetMatrixRequest(frame, ROUTE.key);
  assert.equal(request.keys.count, 3);
  assert.equal(request.dtype, DTYPE_FLOAT64);
  assert.ok(!request.withEventTimes);
});
