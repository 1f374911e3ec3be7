/**
 * A listener: one port, its sessions, and their end.
 *
 * I1  `bind` answers with the port or refuses with PORT_IN_USE (or CONFIG_INVALID for an address that is not ours);
 *     connections made before `open` wait unread.
 * I2  `drain` stops accepting, lets every request in flight be answered, refuses later ones SHUTTING_DOWN, and settles
 *     when all connections are gone: at the latest after its timeout, when it ends them itself.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { ByteWriter } from '../protocol/index.ts';
import { Dispatch } from './dispatch.ts';
import { CLOSE_LINGER_MS, CONNECTIONS_MAX, KEEP_ALIVE_DELAY_MS } from './limits.ts';
import type { Logger } from './log.ts';
import type { Operation } from './operation.ts';
import { OutputChunkPool } from './output-buffer.ts';
import { ServerError } from './server-error.ts';
import { Session, type SessionServices } from './session.ts';
import { READ_BUFFER_BYTES } from './socket-reader.ts';

export interface ListenerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly operations: readonly Operation[];
  readonly log: Logger;
  /** Wall clock, µs since the epoch. */
  readonly nowMicros: () => number;
}

export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #dispatch: Dispatch;
  readonly #services: SessionServices;
  readonly #sessions: Set<Session> = new Set();
  #waiting: Socket[] | undefined = [];
  #nextSessionId = 1;
  #onEmpty: (() => void) | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#dispatch = new Dispatch(options.operations, options.log);
    this.#services = {
      dispatch: this.#dispatch,
      pool: new OutputChunkPool(),
      log: options.log,
      errorWriter: new ByteWriter(),
      partialFrames: { bytes: 0 },
      readBuffer: new Uint8Array(READ_BUFFER_BYTES),
      nowMicros: options.nowMicros,
      nowMs: (): number => performance.now(),
    };
    const socketOptions = {
      allowHalfOpen: true,
      // Nothing is read before the connection was moved to the thread's read buffer.
      pauseOnConnect: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
    };
    this.#server = createServer(socketOptions, (socket) => this.#accept(socket));
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.on('drop', () =>
      options.log.warn({ limit: CONNECTIONS_MAX }, 'connection refused: too many'),
    );
  }

  /** Takes the port; answers its number. */
  async bind(): Promise<number> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => reject(bindError(error, host, port)));
      this.#server.listen({ host, port, backlog: 511 }, resolve);
    });
    this.#server.removeAllListeners('error');
    // Accepting may fail for want of descriptors; the listener lives on and accepts again when there are some.
    this.#server.on('error', (error) => this.#options.log.error({ err: error }, 'accepting failed'));
    const address = this.#server.address();
    if (address === null || typeof address === 'string')
      throw new ServerError('INTERNAL', 'no port was bound');
    return address.port;
  }

  /** Serves, first those that connected since `bind`. */
  open(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const socket of waiting) this.#serve(socket);
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  async drain(timeoutMs: number): Promise<void> {
    this.#dispatch.isDraining = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#waiting ?? []) socket.destroy();
    this.#waiting = [];
    const emptied = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      if (this.#sessions.size === 0) resolve();
    });
    for (const session of this.#sessions) session.finish();
    const destroyAll = (): void => {
      for (const session of this.#sessions) session.destroy();
    };
    const timer = setTimeout(destroyAll, timeoutMs + CLOSE_LINGER_MS);
    await emptied;
    clearTimeout(timer);
    await closed;
  }

  #accept(socket: Socket): void {
    if (this.#sessions.size + (this.#waiting?.length ?? 0) >= CONNECTIONS_MAX) {
      this.#options.log.warn({ limit: CONNECTIONS_MAX }, 'connection refused: too many');
      socket.destroy();
      return;
    }
    if (this.#waiting === undefined) {
      this.#serve(socket);
      return;
    }
    this.#waiting.push(socket);
  }

  #serve(socket: Socket): void {
    const session = new Session(this.#nextSessionId++, socket, this.#services);
    this.#sessions.add(session);
    session.start((gone) => {
      this.#sessions.delete(gone);
      if (this.#sessions.size === 0) this.#onEmpty?.();
    });
  }
}

function bindError(error: NodeJS.ErrnoException, host: string, port: number): ServerError {
  const place = `${host}:${port}`;
  if (error.code === 'EADDRINUSE') {
    return new ServerError('PORT_IN_USE', `port ${place} is in use by another process`, { cause: error });
  }
  if (error.code === 'EACCES') {
    return new ServerError('PORT_IN_USE', `port ${place} may not be taken by this user`, { cause: error });
  }
  return new ServerError('CONFIG_INVALID', `cannot listen on ${place}: ${error.message}`, { cause: error });
}
