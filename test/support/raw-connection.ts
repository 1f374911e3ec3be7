/**
 * A connection that says exactly the bytes it is told to, for tests of what a server does with them.
 *
 * Responses are collected as they come and handed out by correlation id; `closed` settles when the server ended the
 * connection. Every wait fails after WAIT_TIMEOUT_MS, so a server that says nothing fails the test and does not hang it.
 */
import { connect, type Socket } from 'node:net';
import {
  ByteWriter,
  decodeErrorResponse,
  type ErrorResponse,
  encodeHelloRequest,
  FRAME_BYTES_MAX,
  type Frame,
  FrameDecoder,
  RESPONSE_HEADER_BYTES,
} from '../../protocol/index.ts';

const WAIT_TIMEOUT_MS = 10_000;
const HELLO_CORRELATION_ID = 1;

/** A response, copied out of the stream. */
export interface RawResponse {
  readonly frame: Frame;
  readonly operation: number;
  readonly status: number;
  readonly correlationId: number;
  readonly flags: number;
}

export class RawConnection {
  readonly socket: Socket;
  /** Settles when the server has ended its side, or the connection broke. */
  readonly closed: Promise<void>;
  readonly responses: RawResponse[] = [];
  readonly #decoder: FrameDecoder = new FrameDecoder(FRAME_BYTES_MAX, RESPONSE_HEADER_BYTES);
  #waiting: (() => void)[] = [];
  #isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      const end = (): void => {
        this.#isClosed = true;
        this.#wake();
        resolve();
      };
      socket.on('end', () => {
        end();
        socket.end();
      });
      socket.on('close', end);
    });
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawConnection(socket);
  }

  /** Opens and greets. */
  static async greeted(port: number): Promise<RawConnection> {
    const connection = await RawConnection.open(port);
    connection.request((writer) =>
      encodeHelloRequest(writer, { correlationId: HELLO_CORRELATION_ID }, { client: 'test' }),
    );
    const response = await connection.response(HELLO_CORRELATION_ID);
    if (response.status !== 0) throw new Error(`HELLO was refused: ${errorOf(response).message}`);
    return connection;
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Sends what the encoder writes. */
  request(encode: (writer: ByteWriter) => void): void {
    const writer = new ByteWriter();
    encode(writer);
    this.send(writer.finish());
  }

  /** The first response with this correlation id, which is then forgotten. */
  async response(correlationId: number): Promise<RawResponse> {
    return this.#wait(() => {
      const index = this.responses.findIndex((response) => response.correlationId === correlationId);
      return index < 0 ? undefined : this.responses.splice(index, 1)[0];
    }, `a response to request ${correlationId}`);
  }

  async exchange(correlationId: number, encode: (writer: ByteWriter) => void): Promise<RawResponse> {
    this.request(encode);
    return this.response(correlationId);
  }

  /** Settles when `count` responses wait here. */
  async collected(count: number): Promise<RawResponse[]> {
    return this.#wait(
      () => (this.responses.length >= count ? this.responses : undefined),
      `${count} responses (${this.responses.length} came)`,
    );
  }

  destroy(): void {
    this.socket.destroy();
  }

  async #wait<T>(look: () => T | undefined, what: string): Promise<T> {
    const found = look();
    if (found !== undefined) return found;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${what} came`)), WAIT_TIMEOUT_MS);
      const check = (): void => {
        const value = look();
        if (value === undefined && !this.#isClosed) {
          this.#waiting.push(check);
          return;
        }
        clearTimeout(timer);
        if (value === undefined) reject(new Error(`the server closed the connection; no ${what} came`));
        else resolve(value);
      };
      this.#waiting.push(check);
    });
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const check of waiting) check();
  }

  #receive(chunk: Buffer): void {
    this.#decoder.push(chunk);
    for (let frame = this.#decoder.next(); frame !== null; frame = this.#decoder.next()) {
      const bytes = new Uint8Array(frame.bytes.subarray(frame.offset, frame.end));
      const view = new DataView(bytes.buffer);
      this.responses.push({
        frame: { bytes, view, offset: 0, end: bytes.byteLength },
        operation: view.getUint8(5),
        status: view.getUint16(6, true),
        correlationId: view.getUint32(8, true),
        flags: view.getUint16(12, true),
      });
    }
    this.#wake();
  }
}

/** The error that a response carries; fails when it carries none. */
export function errorOf(response: RawResponse): ErrorResponse {
  if (response.status === 0) throw new Error('the response is no error');
  return decodeErrorResponse(response.frame, response.status);
}
