/** Control requests on the main thread: one after the other, and always a response frame. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  ByteWriter,
  decodeCreateGroupResponse,
  decodeErrorResponse,
  decodeListGroupsResponse,
  encodeCreateGroupRequest,
  encodeDropGroupRequest,
  encodeListGroupsRequest,
  type Frame,
} from '../../protocol/index.ts';
import { Catalog } from '../../server/catalog.ts';
import { ControlService } from '../../server/control-service.ts';
import { createLogger } from '../../server/log.ts';
import { nodeDisk } from '../../server/node-environment.ts';
import type { MainMessage } from '../../server/worker-messages.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

interface Parts {
  readonly service: ControlService;
  readonly catalog: Catalog;
  readonly broadcasts: string[];
  /** Lets the threads acknowledge. */
  release: () => void;
}

function parts(context: TestContext): Parts {
  const catalog = Catalog.create(nodeDisk, join(temporaryDirectory(context), 'catalog.json'));
  const broadcasts: string[] = [];
  let waiting: (() => void)[] = [];
  const node = {
    catalog,
    nowMicros: () => 5,
    broadcast: (message: (requestId: number) => MainMessage) => {
      broadcasts.push(message(1).type);
      return new Promise<void>((resolve) => waiting.push(resolve));
    },
    status: () => Promise.reject(new TypeError('a secret')),
  };
  const release = (): void => {
    for (const resolve of waiting.splice(0)) resolve();
    waiting = [];
  };
  return { service: new ControlService(node, createLogger('silent', 'test')), catalog, broadcasts, release };
}

function request(encode: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  encode(writer);
  return new Uint8Array(writer.finish());
}

function frameOf(bytes: Uint8Array): Frame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { bytes, view, offset: 0, end: bytes.length };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const create = (name: string): Uint8Array =>
  request((writer) =>
    encodeCreateGroupRequest(
      writer,
      { correlationId: 3 },
      {
        spec: { name, key: [{ name: 'id', type: 'int64' }], features: [{ name: 'a', type: 'int8' }] },
        ifNotExists: false,
      },
    ),
  );
const list = request((writer) => encodeListGroupsRequest(writer, { correlationId: 4 }));

test('a group is listed only when every thread has acknowledged it', async (context) => {
  const { service, broadcasts, release } = parts(context);
  const created = service.answer(create('a'));
  const listed = service.answer(list);
  let isListed = false;
  void listed.then(() => {
    isListed = true;
  });
  await turn();
  assert.deepEqual(broadcasts, ['group-added']);
  assert.equal(isListed, false);
  release();
  const group = decodeCreateGroupResponse(frameOf(await created));
  assert.deepEqual(decodeListGroupsResponse(frameOf(await listed)), [group]);
});

test('a refusal is a response under the request’s correlation id, and does not stop the next', async (context) => {
  const { service, release } = parts(context);
  const drop = request((writer) => encodeDropGroupRequest(writer, { correlationId: 9 }, 'none'));
  const refused = frameOf(await service.answer(drop));
  assert.deepEqual([refused.view.getUint16(6, true), refused.view.getUint32(8, true)], [16, 9]);
  const created = service.answer(create('a'));
  await turn();
  release();
  assert.equal(frameOf(await created).view.getUint16(6, true), 0);
});

test('what nobody expected is answered INTERNAL, without its details', async (context) => {
  const { service } = parts(context);
  const status = new Uint8Array(41);
  const view = new DataView(status.buffer);
  view.setUint32(0, status.length, true);
  view.setUint8(5, 3);
  status[40] = 0x80;
  const frame = frameOf(await service.answer(status));
  const error = decodeErrorResponse(frame, frame.view.getUint16(6, true));
  assert.equal(error.code, 'INTERNAL');
  assert.doesNotMatch(error.message, /secret/);
});
