/** Headers survive, lengths are filled in, and what this version does not know is refused after it was read. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ByteWriter,
  beginRequest,
  beginResponse,
  endFrame,
  FLAG_MORE,
  FRAME_BYTES_MAX,
  newRequestHeader,
  newResponseHeader,
  OPERATIONS,
  PROTOCOL_VERSION,
  REQUEST_HEADER_BYTES,
  RESPONSE_HEADER_BYTES,
  readRequestHeader,
  readResponseHeader,
  writeRequestHeader,
  writeResponseHeader,
} from '../../protocol/index.ts';
import { refusal } from './frames.ts';
import { announcedSeed } from './seed.ts';

const u32 = fc.integer({ min: 0, max: 0xffffffff });

test('any request header survives', () => {
  const seed = announcedSeed('request header round trip');
  const view = new DataView(new ArrayBuffer(REQUEST_HEADER_BYTES + 3));
  fc.assert(
    fc.property(
      u32,
      u32,
      u32,
      u32,
      u32,
      fc.maxSafeNat(),
      (correlationId, mapEpoch, timeoutMs, lo, hi, sequence) => {
        const header = {
          frameBytes: 99,
          version: PROTOCOL_VERSION,
          operation: OPERATIONS.PUT,
          flags: 0,
          correlationId,
          mapEpoch,
          timeoutMs,
          clientIdLo: lo,
          clientIdHi: hi,
          sequence,
        };
        writeRequestHeader(view, 3, header);
        const read = newRequestHeader();
        readRequestHeader(view, 3, read);
        assert.deepEqual(read, header);
      },
    ),
    { seed, numRuns: 300 },
  );
});

test('any response header survives', () => {
  const view = new DataView(new ArrayBuffer(RESPONSE_HEADER_BYTES));
  writeResponseHeader(view, 0, 77, OPERATIONS.SCAN, 9, 0xfffffffe, FLAG_MORE);
  const read = newResponseHeader();
  readResponseHeader(view, 0, read);
  assert.deepEqual(read, {
    frameBytes: 77,
    version: PROTOCOL_VERSION,
    operation: OPERATIONS.SCAN,
    status: 9,
    correlationId: 0xfffffffe,
    flags: FLAG_MORE,
  });
});

test('flags and reserved bytes are refused, with the correlation id already read', () => {
  for (const at of [6, 20, 39]) {
    const view = new DataView(new ArrayBuffer(REQUEST_HEADER_BYTES));
    view.setUint32(8, 77, true);
    view.setUint8(at, 0xff);
    const header = newRequestHeader();
    assert.throws(() => readRequestHeader(view, 0, header), refusal('MALFORMED_REQUEST'));
    assert.equal(header.correlationId, 77);
  }
});

test('endFrame fills in the length of each of several frames', () => {
  const writer = new ByteWriter();
  const first = beginRequest(writer, OPERATIONS.PING, { correlationId: 1 });
  endFrame(writer, first);
  const second = beginResponse(writer, OPERATIONS.PING, 2);
  writer.raw(new Uint8Array(5));
  endFrame(writer, second);
  assert.equal(writer.view.getUint32(first, true), 40);
  assert.equal(writer.view.getUint32(second, true), 21);
  assert.equal(second, 40);
});

test('a frame over the limit is refused and taken back', () => {
  const writer = new ByteWriter();
  writer.u32(1);
  const start = beginResponse(writer, OPERATIONS.GET, 2);
  writer.reserve(FRAME_BYTES_MAX);
  assert.throws(
    () => endFrame(writer, start),
    refusal('FRAME_TOO_LARGE', /16777232 bytes; at most 16777216/),
  );
  assert.equal(writer.length, 4);
});
