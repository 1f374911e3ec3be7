/**
 * Ports that nobody listens on: `count` neighbours, because a node takes one for each shard and each scan thread.
 *
 * Found by listening on them all at once and closing again. Somebody else may take one in between; a benchmark then
 * fails at start with the server's own message, which says so.
 */

import { createServer, type Server } from 'node:net';

const TRIES = 50;
/** Below the range that Linux hands out by itself. */
const PORT_MIN = 20_000;
const PORT_SPAN = 12_000;

function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

export async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const first = PORT_MIN + Math.floor(Math.random() * PORT_SPAN);
    const servers = await Promise.all(Array.from({ length: count }, (_, index) => listen(first + index)));
    await Promise.all(
      servers.map((server) => new Promise<void>((done) => (server ? server.close(() => done()) : done()))),
    );
    if (servers.every((server) => server !== undefined)) return first;
  }
  throw new Error(`no ${count} neighbouring free ports found in ${TRIES} tries`);
}
