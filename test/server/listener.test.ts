/** A listener: its port, the connections that wait before it opens, and its bound. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { Listener, type ListenerOptions } from '../../server/listener.ts';
import { createLogger } from '../../server/log.ts';
import { RawConnection } from '../support/raw-connection.ts';
import { emptyRequest, PING, startTestListener } from '../support/test-listener.ts';

const OPTIONS: ListenerOptions = {
  host: '127.0.0.1',
  port: 0,
  operations: [],
  log: createLogger('silent', 'test'),
  nowMicros: () => 0,
};

test('a port in use, and an address that is not ours, are refused by code', async (context) => {
  const occupier = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => occupier.once('listening', resolve));
  context.after(() => occupier.close());
  const { port } = occupier.address() as { port: number };
  await assert.rejects(new Listener({ ...OPTIONS, port }).bind(), { code: 'PORT_IN_USE' });
  await assert.rejects(new Listener({ ...OPTIONS, host: '203.0.113.7' }).bind(), { code: 'CONFIG_INVALID' });
});

test('connections made before it opens are served when it does', async (context) => {
  const listener = new Listener(OPTIONS);
  const port = await listener.bind();
  context.after(() => listener.drain(0));
  const early = await RawConnection.open(port);
  early.send(emptyRequest(PING, 1));
  assert.equal(listener.sessionCount, 0);
  listener.open();
  const [response] = await early.collected(1);
  // It knows no HELLO here, so the first request is refused: it was read.
  assert.equal(response!.status, 5);
});

test('a drain without connections settles, and with an idle one too', async (context) => {
  const idle = new Listener(OPTIONS);
  await idle.bind();
  await idle.drain(1000);
  const { port, listener } = await startTestListener(context, []);
  const connection = await RawConnection.greeted(port);
  await listener.drain(60_000);
  await connection.closed;
  await assert.rejects(RawConnection.open(port));
});

test('a client that does not end its side is ended for it when the drain is over', async (context) => {
  const { port, listener } = await startTestListener(context, []);
  const connection = await RawConnection.greeted(port);
  // It stops reading, so it never sees the end.
  connection.socket.pause();
  await listener.drain(0);
  assert.equal(listener.sessionCount, 0);
  connection.destroy();
});
