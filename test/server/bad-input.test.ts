/**
 * What no client should send, sent over raw sockets to one node: each is refused with its code, fatal framing errors end
 * their connection alone, and after each the server still answers a PING on a fresh connection. Random tests print
 * their seed.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  ByteWriter,
  compileLayout,
  decodePutResponse,
  type ErrorCodeName,
  encodeCreateGroupRequest,
  encodeDropGroupRequest,
  encodeGetGroupRequest,
  encodeHelloRequest,
  encodeMessagePack,
  encodePingRequest,
  encodeRow,
  errorNumber,
  FRAME_BYTES_MAX,
  GET_KEYS_MAX,
  type GroupSchema,
  OPERATIONS,
  PUT_ROWS_MAX,
} from '../../protocol/index.ts';
import { type RunningNode, startNode } from '../../server/index.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { errorOf, RawConnection, type RawResponse } from '../support/raw-connection.ts';
import {
  assertAlive,
  createGroup,
  EVENT_TIME,
  encodeGet,
  encodePut,
  get,
  put,
} from '../support/test-node.ts';

const REQUEST_HEADER_BYTES = 40;

const directory: string = mkdtempSync(join(tmpdir(), 'millrace-test-'));
let node: RunningNode;
let group: GroupSchema;
let stamped: GroupSchema;

before(async () => {
  node = await startNode({ dataDirectory: directory, shards: 1, logLevel: 'silent', drainTimeoutMs: 1000 });
  const connection = await RawConnection.greeted(node.port);
  group = await createGroup(connection, 'g', [
    { name: 'a', type: 'float32' },
    { name: 's', type: 'string' },
  ]);
  const spec = {
    name: 'stamped',
    key: [{ name: 't', type: 'timestamp' as const }],
    features: [{ name: 'a', type: 'float32' as const }],
  };
  await connection.exchange(2, (writer) =>
    encodeCreateGroupRequest(writer, { correlationId: 2 }, { spec, ifNotExists: false }),
  );
  stamped = { ...group, id: 2, ...spec, features: [{ id: 1, name: 'a', type: 'float32' }] };
  await put(connection, group, [{ id: 1, values: { a: 1, s: 'one' } }]);
  connection.destroy();
});

after(async () => {
  await node.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A request frame with a body of its own, and header fields as given. */
function requestFrame(
  operation: number,
  body: Uint8Array,
  fields: { frameBytes?: number; version?: number; flags?: number; reserved?: number } = {},
): Uint8Array {
  const bytes = new Uint8Array(REQUEST_HEADER_BYTES + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, fields.frameBytes ?? bytes.length, true);
  view.setUint8(4, fields.version ?? 1);
  view.setUint8(5, operation);
  view.setUint16(6, fields.flags ?? 0, true);
  view.setUint32(8, 99, true);
  view.setUint32(20, fields.reserved ?? 0, true);
  bytes.set(body, REQUEST_HEADER_BYTES);
  return bytes;
}

/** A body of u16, u32 and i64 numbers, little-endian, and raw bytes. */
function body(...parts: (['u16' | 'u32' | 'i64', ...number[]] | Uint8Array)[]): Uint8Array {
  const writer = new ByteWriter();
  for (const part of parts) {
    if (part instanceof Uint8Array) {
      writer.raw(part);
      continue;
    }
    const [type, ...values] = part;
    for (const value of values) writer[type](value);
  }
  return writer.finish();
}

/** Sends bytes on a fresh connection; the server must refuse with this code and close, and live. */
async function assertFatal(bytes: Uint8Array, code: ErrorCodeName, greet: boolean): Promise<void> {
  const connection = await (greet ? RawConnection.greeted(node.port) : RawConnection.open(node.port));
  connection.send(bytes);
  const [response] = await connection.collected(1);
  assert.equal(errorOf(response!).code, code);
  await connection.closed;
  connection.destroy();
  await assertAlive(node.port);
}

/** Sends a request; the server must refuse it with this code, and go on with the connection. */
async function assertRefused(bytes: Uint8Array, code: ErrorCodeName, message?: RegExp): Promise<void> {
  const connection = await RawConnection.greeted(node.port);
  connection.send(bytes);
  const response = await connection.response(99);
  const error = errorOf(response);
  assert.equal(error.code, code, error.message);
  if (message !== undefined) assert.match(error.message, message);
  const ping = await connection.exchange(3, (writer) => encodePingRequest(writer, { correlationId: 3 }));
  assert.equal(ping.status, 0);
  connection.destroy();
  await assertAlive(node.port);
}

/** What each row of a write was answered: PUT and DELETE answer alike. */
function resultsOf(response: RawResponse): number[] {
  assert.equal(response.status, 0);
  return [...decodePutResponse(response.frame).results];
}

const EMPTY = new Uint8Array(0);
/** A key batch of `count` int64 keys. */
const keys = (count: number): Uint8Array => body(['u32', count, 8], new Uint8Array(8 * count));
const getBody = (keyBatch: Uint8Array): Uint8Array => body(['u16', group.id, 0], ['u32', 0], keyBatch);
const matrixBody = (ids: number[], keyBatch: Uint8Array, dtype = 0, flags = 0): Uint8Array =>
  body(
    ['u16', group.id, dtype, flags, ids.length, ...ids],
    new Uint8Array((8 - ((2 * ids.length) % 8)) % 8),
    keyBatch,
  );

test('another protocol is told so, and the connection ends', async () => {
  await assertFatal(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'FRAME_TOO_LARGE', false);
});

test('random garbage never stops the server', async () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 60; round++) {
    const connection = await (random.chance(0.5) ? RawConnection.greeted : RawConnection.open)(node.port);
    const bytes = random.bytes(1 + random.below(2000));
    // Half of them look like frames, so that garbage reaches the decoders of the operations.
    if (random.chance(0.5) && bytes.length >= REQUEST_HEADER_BYTES) {
      const operations = Object.values(OPERATIONS);
      const frame = requestFrame(
        operations[random.below(operations.length)]!,
        bytes.subarray(REQUEST_HEADER_BYTES),
      );
      connection.send(frame);
    } else {
      connection.send(bytes);
    }
    connection.socket.end();
    await connection.closed;
    connection.destroy();
  }
  await assertAlive(node.port);
});

test('mutated requests never stop the server, and never change a row that was acknowledged', async () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const originals = [1, 2, 3].map((kind) => {
    const writer = new ByteWriter();
    if (kind === 1) encodeGet(writer, 5, group, [1, 2, 3]);
    if (kind === 2)
      encodePut(writer, 5, group, [{ id: 1, values: { a: 2, s: 'two' }, eventTime: EVENT_TIME - 5 }]);
    if (kind === 3) writer.raw(requestFrame(OPERATIONS.GET_MATRIX, matrixBody([1], keys(2))));
    return writer.finish();
  });
  for (let round = 0; round < 200; round++) {
    const connection = await RawConnection.greeted(node.port);
    const bytes = new Uint8Array(originals[random.below(originals.length)]!);
    for (let count = 1 + random.below(3); count > 0; count--) {
      // The length and version are left alone: those are the tests above. A put's event time too, for the row's sake.
      const at = 6 + random.below(bytes.length - 6);
      if (at >= 56 && at < 64) continue;
      bytes[at] = random.uint32();
    }
    connection.send(bytes);
    connection.socket.end();
    await connection.closed;
    connection.destroy();
  }
  const connection = await RawConnection.greeted(node.port);
  assert.deepEqual(await get(connection, group, [1]), [{ a: 1, s: 'one' }]);
  connection.destroy();
});

test('a frame cut off by the end of the connection is refused', async () => {
  const connection = await RawConnection.greeted(node.port);
  connection.send(requestFrame(OPERATIONS.PING, EMPTY).subarray(0, 25));
  connection.socket.end();
  const [response] = await connection.collected(1);
  assert.equal(errorOf(response!).code, 'MALFORMED_FRAME');
  await connection.closed;
  await assertAlive(node.port);
});

test('lengths below a header and above the largest frame are refused before anything is allocated', async () => {
  for (const frameBytes of [0, 1, REQUEST_HEADER_BYTES - 1]) {
    await assertFatal(requestFrame(OPERATIONS.PING, EMPTY, { frameBytes }), 'MALFORMED_FRAME', true);
  }
  for (const frameBytes of [FRAME_BYTES_MAX + 1, 0x7fffffff, 0xffffffff]) {
    await assertFatal(requestFrame(OPERATIONS.PING, EMPTY, { frameBytes }), 'FRAME_TOO_LARGE', true);
  }
});

test('an announced frame that never comes costs its connection only', async () => {
  const connections: RawConnection[] = [];
  for (let count = 0; count < 50; count++) {
    const connection = await RawConnection.greeted(node.port);
    connection.send(requestFrame(OPERATIONS.PUT, EMPTY, { frameBytes: FRAME_BYTES_MAX }));
    connections.push(connection);
  }
  await assertAlive(node.port);
  for (const connection of connections) connection.destroy();
});

test('before HELLO no more than a greeting is buffered', async () => {
  const bytes = requestFrame(OPERATIONS.HELLO, new Uint8Array(200_000), { frameBytes: 1_000_000 });
  await assertFatal(bytes, 'FRAME_TOO_LARGE', false);
});

test('a frame of another version is refused', async () => {
  for (const version of [0, 2, 255]) {
    await assertFatal(requestFrame(OPERATIONS.PING, EMPTY, { version }), 'UNSUPPORTED_VERSION', true);
  }
});

test('a HELLO whose versions do not overlap is refused', async () => {
  const writer = new ByteWriter();
  encodeHelloRequest(writer, { correlationId: 1 }, { client: 'future', minVersion: 7, maxVersion: 9 });
  await assertFatal(writer.finish(), 'UNSUPPORTED_VERSION', false);
});

test('a first request that is no HELLO, or no whole one, ends the connection', async () => {
  await assertFatal(requestFrame(OPERATIONS.PING, EMPTY), 'HANDSHAKE_REQUIRED', false);
  await assertFatal(requestFrame(OPERATIONS.HELLO, EMPTY), 'MALFORMED_REQUEST', false);
  await assertFatal(requestFrame(OPERATIONS.HELLO, Buffer.from('MILLRACE')), 'MALFORMED_REQUEST', false);
});

test('an unknown operation, or one of another port, is refused by its number', async () => {
  await assertRefused(requestFrame(200, EMPTY), 'UNKNOWN_OPERATION', /200/);
  await assertRefused(requestFrame(0, EMPTY), 'UNKNOWN_OPERATION');
  await assertRefused(requestFrame(OPERATIONS.SCAN, EMPTY), 'UNKNOWN_OPERATION', /32/);
});

test('reserved bits are refused, so that a later version may use them', async () => {
  await assertRefused(requestFrame(OPERATIONS.PING, EMPTY, { flags: 1 }), 'MALFORMED_REQUEST');
  await assertRefused(requestFrame(OPERATIONS.PING, EMPTY, { reserved: 1 }), 'MALFORMED_REQUEST');
  await assertRefused(
    requestFrame(OPERATIONS.GET, body(['u16', group.id, 1], ['u32', 0], keys(1))),
    'MALFORMED_REQUEST',
  );
});

test('a body with bytes after its end, or too few, is refused', async () => {
  await assertRefused(requestFrame(OPERATIONS.PING, new Uint8Array(1)), 'MALFORMED_REQUEST');
  await assertRefused(
    requestFrame(OPERATIONS.GET, body(getBody(keys(1)), new Uint8Array(8))),
    'MALFORMED_REQUEST',
  );
  for (const operation of [OPERATIONS.GET, OPERATIONS.GET_MATRIX, OPERATIONS.PUT, OPERATIONS.DELETE]) {
    await assertRefused(requestFrame(operation, EMPTY), 'MALFORMED_REQUEST');
    await assertRefused(requestFrame(operation, body(['u16', group.id])), 'MALFORMED_REQUEST');
  }
});

test('a missing group is refused, by id and by name', async () => {
  for (const id of [0, 3, 4095, 65535]) {
    await assertRefused(
      requestFrame(OPERATIONS.GET, body(['u16', id, 0], ['u32', 0], keys(1))),
      'GROUP_NOT_FOUND',
      new RegExp(`${id}`),
    );
  }
  const connection = await RawConnection.greeted(node.port);
  const named = await connection.exchange(4, (writer) =>
    encodeGetGroupRequest(writer, { correlationId: 4 }, 'none'),
  );
  assert.deepEqual(errorOf(named).code, 'GROUP_NOT_FOUND');
  const dropped = await connection.exchange(5, (writer) =>
    encodeDropGroupRequest(writer, { correlationId: 5 }, 'none'),
  );
  assert.deepEqual(errorOf(dropped).code, 'GROUP_NOT_FOUND');
  connection.destroy();
});

test('an empty batch is refused', async () => {
  await assertRefused(requestFrame(OPERATIONS.GET, getBody(keys(0))), 'BATCH_EMPTY');
  await assertRefused(requestFrame(OPERATIONS.GET_MATRIX, matrixBody([1], keys(0))), 'BATCH_EMPTY');
  await assertRefused(requestFrame(OPERATIONS.GET_MATRIX, matrixBody([], keys(1))), 'BATCH_EMPTY');
  await assertRefused(
    requestFrame(OPERATIONS.PUT, body(['u16', group.id, 1], ['u32', 0, 0, 0])),
    'BATCH_EMPTY',
  );
  await assertRefused(
    requestFrame(OPERATIONS.DELETE, body(['u16', group.id, 0], ['u32', 0, 0, 0])),
    'BATCH_EMPTY',
  );
});

test('a batch over the limit is refused, and so are counts that the frame does not hold', async () => {
  await assertRefused(requestFrame(OPERATIONS.GET, getBody(keys(GET_KEYS_MAX + 1))), 'BATCH_TOO_LARGE');
  const putOf = (count: number): Uint8Array => body(['u16', group.id, 1], ['u32', count, 0, 0]);
  await assertRefused(requestFrame(OPERATIONS.PUT, putOf(PUT_ROWS_MAX + 1)), 'BATCH_TOO_LARGE');
  await assertRefused(requestFrame(OPERATIONS.PUT, putOf(1000)), 'MALFORMED_REQUEST');
  await assertRefused(requestFrame(OPERATIONS.GET, getBody(body(['u32', 1000, 8]))), 'MALFORMED_REQUEST');
  await assertRefused(requestFrame(OPERATIONS.GET, getBody(body(['u32', 0xffffffff, 8]))), 'BATCH_TOO_LARGE');
});

test('a key of the wrong size or type is refused by its position', async () => {
  await assertRefused(
    requestFrame(OPERATIONS.GET, getBody(body(['u32', 1, 4, 7, 0]))),
    'KEY_INVALID',
    /key 0/,
  );
  await assertRefused(
    requestFrame(OPERATIONS.GET, getBody(body(['u32', 2, 0], ['u32', 0, 8, 13, 0], new Uint8Array(16)))),
    'KEY_INVALID',
    /key 1/,
  );
  await assertRefused(
    requestFrame(OPERATIONS.GET, getBody(body(['u32', 1, 2000], new Uint8Array(2000)))),
    'KEY_TOO_LARGE',
  );
  // A NaN reaches the wire as an integer outside the safe range.
  const notANumber = new Uint8Array(8);
  new DataView(notANumber.buffer).setFloat64(0, Number.NaN, true);
  await assertRefused(
    requestFrame(OPERATIONS.GET, body(['u16', stamped.id, 0], ['u32', 0, 1, 8], notANumber)),
    'KEY_INVALID',
    /key 0/,
  );
});

test('a matrix of features that are not there, or have no numbers, is refused', async () => {
  await assertRefused(
    requestFrame(OPERATIONS.GET_MATRIX, matrixBody([9], keys(1))),
    'FEATURE_NOT_FOUND',
    /9/,
  );
  await assertRefused(
    requestFrame(OPERATIONS.GET_MATRIX, matrixBody([2], keys(1))),
    'TYPE_MISMATCH',
    /"s" is string/,
  );
  await assertRefused(requestFrame(OPERATIONS.GET_MATRIX, matrixBody([1], keys(1), 2)), 'MALFORMED_REQUEST');
  await assertRefused(
    requestFrame(OPERATIONS.GET_MATRIX, matrixBody([1], keys(1), 0, 2)),
    'MALFORMED_REQUEST',
  );
});

test('a matrix or rows larger than a frame are refused', async () => {
  const ids = new Array<number>(1000).fill(1);
  await assertRefused(
    requestFrame(OPERATIONS.GET_MATRIX, matrixBody(ids, keys(GET_KEYS_MAX))),
    'BATCH_TOO_LARGE',
    /16384/,
  );
  const connection = await RawConnection.greeted(node.port);
  await put(connection, group, [{ id: 77, values: { s: 'x'.repeat(900_000) } }]);
  const response = await connection.exchange(99, (writer) =>
    encodeGet(writer, 99, group, new Array<number>(40).fill(77)),
  );
  assert.equal(errorOf(response).code, 'BATCH_TOO_LARGE');
  connection.destroy();
  await assertAlive(node.port);
});

test('one bad row refuses the whole put, by its position, and nothing of it is written', async () => {
  const writer = new ByteWriter();
  encodePut(writer, 99, group, [
    { id: 500, values: { a: 1 } },
    { id: 501, values: { a: 2 } },
  ]);
  const bytes = writer.finish();
  const rowBytes = encodedRow({ a: 2 }).length;
  // The last row's bitmap gets bits that no feature has.
  bytes[bytes.length - rowBytes + 8] = 0xff;
  await assertRefused(bytes, 'ROW_INVALID', /row 1/);
  const connection = await RawConnection.greeted(node.port);
  assert.deepEqual(await get(connection, group, [500, 501]), [null, null]);
  connection.destroy();
});

test('rows of an unknown schema version are refused', async () => {
  const writer = new ByteWriter();
  encodePut(writer, 99, { ...group, version: 2 }, [{ id: 1, values: {} }]);
  await assertRefused(writer.finish(), 'SCHEMA_VERSION_UNKNOWN');
});

test('event times that are no safe integer, or lie in the future, are refused by row', async () => {
  const late = (Date.now() + 6 * 60_000) * 1000;
  const soon = (Date.now() + 4 * 60_000) * 1000;
  const putAt = (eventTime: number): Uint8Array => {
    const writer = new ByteWriter();
    encodePut(writer, 99, group, [
      { id: 600, values: {} },
      { id: 601, values: {}, eventTime },
    ]);
    return writer.finish();
  };
  const bytes = putAt(EVENT_TIME);
  new DataView(bytes.buffer, bytes.byteOffset).setFloat64(REQUEST_HEADER_BYTES + 24, Number.NaN, true);
  await assertRefused(bytes, 'EVENT_TIME_INVALID', /row 1/);
  const connection = await RawConnection.greeted(node.port);
  connection.send(putAt(soon));
  assert.deepEqual(resultsOf(await connection.response(99)), [0, 0]);
  connection.send(putAt(late));
  assert.deepEqual(resultsOf(await connection.response(99)), [0, errorNumber('EVENT_TIME_IN_FUTURE')]);
  const deletion = body(['u16', group.id, 0], ['u32', 1, 0, 0], ['i64', late], keys(1));
  connection.send(requestFrame(OPERATIONS.DELETE, deletion));
  assert.deepEqual(resultsOf(await connection.response(99)), [errorNumber('EVENT_TIME_IN_FUTURE')]);
  connection.destroy();
});

test('a control request that is no map, too deep, or announces more than it holds is refused', async () => {
  const bodies: [number[], ErrorCodeName][] = [
    [[], 'MALFORMED_REQUEST'],
    [[0xc1], 'MALFORMED_REQUEST'],
    [[0x93, 1, 2, 3], 'MALFORMED_REQUEST'],
    [[0xdd, 0xff, 0xff, 0xff, 0xff], 'MALFORMED_REQUEST'],
    [[0xdf, 0xff, 0xff, 0xff, 0xff], 'MALFORMED_REQUEST'],
    [new Array<number>(5000).fill(0x91), 'MALFORMED_REQUEST'],
    [[0x80, 0x80], 'MALFORMED_REQUEST'],
    [[0x80], 'SCHEMA_INVALID'],
  ];
  for (const [bytes, code] of bodies) {
    await assertRefused(requestFrame(OPERATIONS.CREATE_GROUP, Uint8Array.from(bytes)), code);
  }
});

test('a group that breaks the rules of schemas is refused, and the name stays free', async () => {
  const wrong: object[] = [
    { name: '', key: group.key, features: [] },
    { name: 'w', key: [], features: [{ name: 'a', type: 'float32' }] },
    { name: 'w', key: group.key, features: [{ name: 'a', type: 'float31' }] },
    { name: 'w', key: group.key, features: [{ name: 'id', type: 'float32' }] },
    { name: 'w', key: group.key, features: [{ name: 'v', type: 'vector', length: -1 }] },
    { name: 'w'.repeat(1000), key: group.key, features: [{ name: 'a', type: 'float32' }] },
  ];
  for (const spec of wrong) {
    await assertRefused(requestFrame(OPERATIONS.CREATE_GROUP, encodeMessagePack(spec)), 'SCHEMA_INVALID');
  }
  const connection = await RawConnection.greeted(node.port);
  const response: RawResponse = await connection.exchange(4, (writer) =>
    encodeGetGroupRequest(writer, { correlationId: 4 }, 'w'),
  );
  assert.equal(errorOf(response).code, 'GROUP_NOT_FOUND');
  connection.destroy();
});

function encodedRow(values: Record<string, unknown>): Uint8Array {
  const writer = new ByteWriter();
  encodeRow(compileLayout(group), values, writer);
  return writer.finish();
}

test('a good request among bad ones of the same chunk is answered', async () => {
  const connection = await RawConnection.greeted(node.port);
  const writer = new ByteWriter();
  for (let round = 0; round < 200; round++) {
    writer.raw(requestFrame(200, EMPTY));
    encodeGet(writer, 1000 + round, group, [1]);
    writer.raw(requestFrame(OPERATIONS.GET, getBody(keys(0))));
  }
  connection.send(writer.finish());
  const responses = await connection.collected(600);
  assert.equal(responses.filter((response) => response.status === 0).length, 200);
  connection.destroy();
});
