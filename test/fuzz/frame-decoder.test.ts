/**
 * The frame decoder and every request decoder under garbage: frames damaged, cut, joined and cut into random chunks.
 *
 * Whatever comes in, the decoder gives frames that lie inside their bytes or throws a ProtocolError; a request decoder
 * gives a request or throws a ProtocolError. Never another error, never a hang, never an allocation for a length that
 * is not there. Replay with SEED=….
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  compileLayout,
  decodeCreateGroupRequest,
  decodeCreateGroupResponse,
  decodeDeleteRequest,
  decodeDeleteResponse,
  decodeErrorResponse,
  decodeGetGroupRequest,
  decodeGetMatrixRequest,
  decodeGetMatrixResponse,
  decodeGetRequest,
  decodeGetResponse,
  decodeHelloRequest,
  decodeHelloResponse,
  decodeListGroupsResponse,
  decodeMapResponse,
  decodePatchRequest,
  decodePatchResponse,
  decodePingRequest,
  decodePutRequest,
  decodePutResponse,
  decodeScanCancelRequest,
  decodeScanCreditRequest,
  decodeScanData,
  decodeScanEnd,
  decodeScanRequest,
  decodeStatusResponse,
  FRAME_BYTES_MAX,
  type Frame,
  FrameDecoder,
  newRequestHeader,
  newResponseHeader,
  OPERATIONS,
  ProtocolError,
  readRequestHeader,
  readResponseHeader,
} from '../../protocol/index.ts';
import { bytesOf } from '../protocol/frames.ts';
import { SAMPLE_MESSAGES } from '../protocol/sample-messages.ts';
import { ROUTE } from '../protocol/sample-schemas.ts';
import { announcedSeed, pick } from '../protocol/seed.ts';
import { SeededRandom } from '../support/random-source.ts';

const ROUNDS = 20_000;
const LAYOUT = compileLayout(ROUTE);
const USER = [{ name: 'user', type: 'string' as const }];

/** By operation: what a server does with the frame. */
const REQUEST_DECODERS: Readonly<Record<number, (frame: Frame) => unknown>> = {
  [OPERATIONS.HELLO]: decodeHelloRequest,
  [OPERATIONS.CREATE_GROUP]: decodeCreateGroupRequest,
  [OPERATIONS.GET_GROUP]: decodeGetGroupRequest,
  [OPERATIONS.GET]: (frame) => [decodeGetRequest(frame, ROUTE.key), decodeGetRequest(frame, USER)],
  [OPERATIONS.GET_MATRIX]: (frame) => decodeGetMatrixRequest(frame, ROUTE.key),
  [OPERATIONS.PUT]: (frame) => decodePutRequest(frame, ROUTE.key, LAYOUT),
  [OPERATIONS.PATCH]: (frame) => decodePatchRequest(frame, ROUTE.key, LAYOUT),
  [OPERATIONS.DELETE]: (frame) => decodeDeleteRequest(frame, ROUTE.key),
  [OPERATIONS.SCAN]: decodeScanRequest,
  [OPERATIONS.SCAN_CREDIT]: decodeScanCreditRequest,
  [OPERATIONS.SCAN_CANCEL]: decodeScanCancelRequest,
  [OPERATIONS.PING]: decodePingRequest,
};

/** By operation: what a client does with the frame. */
const RESPONSE_DECODERS: Readonly<Record<number, (frame: Frame) => unknown>> = {
  [OPERATIONS.HELLO]: decodeHelloResponse,
  [OPERATIONS.MAP]: decodeMapResponse,
  [OPERATIONS.STATUS]: decodeStatusResponse,
  [OPERATIONS.CREATE_GROUP]: decodeCreateGroupResponse,
  [OPERATIONS.LIST_GROUPS]: decodeListGroupsResponse,
  [OPERATIONS.GET]: readWholeGet,
  [OPERATIONS.GET_MATRIX]: decodeGetMatrixResponse,
  [OPERATIONS.PUT]: decodePutResponse,
  [OPERATIONS.PATCH]: decodePatchResponse,
  [OPERATIONS.DELETE]: decodeDeleteResponse,
  [OPERATIONS.SCAN]: (frame) => [decodeScanData(frame), decodeScanEnd(frame)],
};

function readWholeGet(frame: Frame): void {
  const answer = decodeGetResponse(frame);
  for (let row = 0; row < answer.count; row++) {
    assert.ok(answer.rowAt(row) + answer.rowBytes(row) <= frame.end);
    answer.eventTime(row);
    answer.lsn(row);
  }
}

/** Runs `step`; true when it threw a ProtocolError, and anything else it throws goes on. */
function refused(step: () => unknown): boolean {
  try {
    step();
    return false;
  } catch (error) {
    if (error instanceof ProtocolError) return true;
    throw error;
  }
}

/** A stream of sample frames in which bytes, words or lengths are wrong. */
function damagedStream(random: SeededRandom, samples: readonly Uint8Array[]): Buffer {
  const frames = Array.from({ length: 1 + random.below(4) }, () => Buffer.from(pick(random, samples)));
  for (const frame of frames) {
    for (let damages = random.below(4); damages > 0; damages--) damage(random, frame);
  }
  const stream = Buffer.concat(frames);
  return random.chance(0.2) ? stream.subarray(0, random.below(stream.length)) : stream;
}

function damage(random: SeededRandom, frame: Buffer): void {
  // The length and version, mostly left alone so that bodies are reached.
  const from = random.chance(0.9) ? 5 : 0;
  const at = from + random.below(frame.length - from);
  const kind = random.below(4);
  if (kind === 0) frame[at] = random.uint32() & 0xff;
  else if (kind === 1) frame[at] = frame[at]! ^ (1 << random.below(8));
  else if (kind === 2)
    frame.writeUInt32LE(
      pick(random, [0, 1, 7, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff]),
      Math.min(at, frame.length - 4),
    );
  else frame.fill(random.uint32() & 0xff, at, Math.min(frame.length, at + random.below(16)));
}

/** Cuts the stream into chunks and handles each frame; ends at the first framing error, as a connection does. */
function feed(
  random: SeededRandom,
  stream: Buffer,
  minFrameBytes: number,
  handle: (frame: Frame) => void,
): void {
  const decoder = new FrameDecoder(FRAME_BYTES_MAX, minFrameBytes);
  const chunkMax = pick(random, [1, 7, 64, 100_000]);
  for (let at = 0; at < stream.length; ) {
    const to = Math.min(stream.length, at + 1 + random.below(chunkMax));
    decoder.push(Buffer.from(stream.subarray(at, to)));
    at = to;
    const broken = refused(() => {
      for (let frame = decoder.next(); frame !== null; frame = decoder.next()) {
        assert.ok(frame.offset >= 0 && frame.end <= frame.bytes.length);
        assert.ok(frame.end - frame.offset >= minFrameBytes);
        handle(frame);
      }
    });
    if (broken) return;
  }
  assert.ok(decoder.pendingBytes <= stream.length);
}

function samplesWith(ending: RegExp): Uint8Array[] {
  return Object.entries(SAMPLE_MESSAGES)
    .filter(([name]) => ending.test(name))
    .map(([, encode]) => bytesOf(encode));
}

test('damaged requests are decoded or refused, nothing else', () => {
  const seed = announcedSeed('fuzz requests');
  const random = new SeededRandom(seed);
  const samples = samplesWith(/-request/);
  const header = newRequestHeader();
  let decoded = 0;
  let refusals = 0;
  for (let round = 0; round < ROUNDS; round++) {
    feed(random, damagedStream(random, samples), 40, (frame) => {
      const decode = REQUEST_DECODERS[frame.view.getUint8(frame.offset + 5)];
      const bad = refused(() => {
        readRequestHeader(frame.view, frame.offset, header);
        decode?.(frame);
      });
      if (bad) refusals++;
      else decoded++;
    });
  }
  assert.ok(decoded > ROUNDS / 10 && refusals > ROUNDS / 10, `${decoded} decoded, ${refusals} refused`);
});

test('damaged answers are decoded or refused, nothing else', () => {
  const seed = announcedSeed('fuzz answers');
  const random = new SeededRandom(seed);
  const samples = samplesWith(/-response|scan-data|scan-end/).filter((sample) => sample.length < 1000);
  const header = newResponseHeader();
  for (let round = 0; round < ROUNDS; round++) {
    feed(random, damagedStream(random, samples), 16, (frame) => {
      readResponseHeader(frame.view, frame.offset, header);
      refused(() => decodeErrorResponse(frame, header.status));
      refused(() => RESPONSE_DECODERS[header.operation]?.(frame));
    });
  }
});

test('random bytes never give a frame out of nothing', () => {
  const seed = announcedSeed('fuzz random bytes');
  const random = new SeededRandom(seed);
  for (let round = 0; round < ROUNDS; round++) {
    const stream = Buffer.from(random.bytes(1 + random.below(100)));
    if (random.chance(0.5)) stream.fill(0, 1, Math.min(4, stream.length));
    feed(random, stream, 40, (frame) => {
      assert.equal(frame.view.getUint32(frame.offset, true), frame.end - frame.offset);
    });
  }
});
