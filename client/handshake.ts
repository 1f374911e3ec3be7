/**
 * From an address to a connection that has been greeted: dial, HELLO, check who answered.
 *
 * Everything that goes wrong on the way is CONNECT_FAILED with its cause, which may be tried again, except an answer
 * that will not change by itself (UNSUPPORTED_VERSION, a refused token): that keeps its own code.
 */
import {
  decodeHelloResponse,
  encodeHelloRequest,
  type Frame,
  type HelloResponse,
  OPERATIONS,
} from '../protocol/index.ts';
import type { Call } from './call.ts';
import { Connection } from './connection.ts';
import type { ClientContext } from './context.ts';
import { MillraceError } from './errors.ts';
import type { Address } from './options.ts';

export interface Greeted {
  readonly connection: Connection;
  readonly hello: HelloResponse;
}

/** Dials `address` and greets; rejects within `connectTimeoutMs`. */
export function openConnection(address: Address, context: ClientContext): Promise<Greeted> {
  const { connectTimeoutMs } = context.options;
  return new Promise((resolve, reject) => {
    const connection = new Connection(address, context);
    const timer = setTimeout(() => {
      connection.close(new MillraceError('CONNECT_FAILED', `no greeting within ${connectTimeoutMs} ms`));
    }, connectTimeoutMs);
    connection.send(
      helloCall(
        context,
        (hello) => {
          clearTimeout(timer);
          resolve({ connection, hello });
        },
        (error) => {
          clearTimeout(timer);
          const failure = asConnectFailure(address, error);
          connection.close(failure);
          reject(failure);
        },
      ),
    );
  });
}

function helloCall(
  context: ClientContext,
  resolve: (hello: HelloResponse) => void,
  fail: (error: MillraceError) => void,
): Call {
  const { clientName, token } = context.options;
  return {
    operation: OPERATIONS.HELLO,
    deadlineMs: Number.POSITIVE_INFINITY,
    sequence: 0,
    encode: (writer, options) =>
      encodeHelloRequest(
        writer,
        options,
        token === undefined ? { client: clientName } : { client: clientName, token },
      ),
    receive: (frame: Frame) => resolve(decodeHelloResponse(frame)),
    fail,
  };
}

/** Codes that say only that it did not work this time. */
const PASSING_CODES: ReadonlySet<string> = new Set([
  'CONNECTION_LOST',
  'CONNECT_FAILED',
  'OVERLOADED',
  'SHUTTING_DOWN',
]);

function asConnectFailure(address: Address, error: MillraceError): MillraceError {
  const code = PASSING_CODES.has(error.code) ? 'CONNECT_FAILED' : error.code;
  const message = `could not connect to ${address.host}:${address.port}: ${error.message}`;
  return new MillraceError(code, message, {
    cause: error,
    indeterminate: false,
    retryAfterMs: error.retryAfterMs,
  });
}
