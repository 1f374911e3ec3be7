/**
 * Dispatch: from a request's operation number to its handler, and from what it throws to an error response.
 *
 * I1  Every request is answered: by its handler, or here with UNKNOWN_OPERATION, SHUTTING_DOWN, DEADLINE_EXCEEDED or
 *     the code of what was thrown.
 * I2  An error of the protocol, the store or the server reaches the client with its own code and message. Anything else
 *     is our fault: the client reads INTERNAL without details, the log has them. A failed assertion ends the process.
 * I3  Reserved header fields are zero, so that a later version can use them.
 *
 * One instance serves all sessions of a listener.
 */
import { AssertionError } from 'node:assert';
import { type ErrorCodeName, type Frame, OPERATIONS, ProtocolError } from '../protocol/index.ts';
import type { Logger } from './log.ts';
import type { Operation, SessionContext } from './operation.ts';
import { correlationIdOf, operationOf, timeoutMsOf } from './request-fields.ts';
import { errorCodeOf, messageOf } from './server-error.ts';

const FLAGS_AT = 6;
const RESERVED_AT = 20;

/** The operation is one byte. */
const OPERATION_NUMBERS = 256;

export class Dispatch {
  /** While true, new requests are refused SHUTTING_DOWN; what is in flight goes on, and so may be continued. */
  isDraining = false;
  readonly #operations: (Operation | undefined)[] = new Array(OPERATION_NUMBERS).fill(undefined);
  readonly #gathering: Operation[] = [];
  readonly #log: Logger;

  constructor(operations: readonly Operation[], log: Logger) {
    this.#log = log;
    for (const operation of operations) {
      this.#operations[operation.number] = operation;
      if (operation.finishChunk !== undefined) this.#gathering.push(operation);
    }
  }

  /**
   * The first request of a connection: throws HANDSHAKE_REQUIRED when it is no HELLO, and whatever the handler of HELLO
   * refuses it with; the session then ends.
   */
  greet(context: SessionContext, frame: Frame): void {
    const operation = operationOf(frame);
    const hello = this.#operations[OPERATIONS.HELLO];
    if (operation !== OPERATIONS.HELLO || hello === undefined) {
      throw new ProtocolError(
        'HANDSHAKE_REQUIRED',
        `the first request must be HELLO; operation ${operation} came`,
      );
    }
    hello.handle(context, frame);
  }

  /** `waitedMs`: how long ago the request was received. */
  handle(context: SessionContext, frame: Frame, waitedMs: number): void {
    const { view, offset } = frame;
    const handler = this.#operations[operationOf(frame)];
    if (
      handler === undefined ||
      (this.isDraining && handler.isContinuation !== true) ||
      view.getUint16(offset + FLAGS_AT, true) !== 0 ||
      view.getUint32(offset + RESERVED_AT, true) !== 0
    ) {
      this.#refuse(context, frame, handler);
      return;
    }
    if (waitedMs > 0) {
      const timeoutMs = timeoutMsOf(frame);
      if (timeoutMs !== 0 && waitedMs >= timeoutMs) {
        answer(
          context,
          frame,
          'DEADLINE_EXCEEDED',
          `the request waited ${waitedMs} ms of its ${timeoutMs} ms`,
        );
        return;
      }
    }
    handler.handle(context, frame);
  }

  /** Lets the handlers that gather requests answer what they have. */
  finishChunk(context: SessionContext): void {
    for (let index = 0; index < this.#gathering.length; index++)
      this.#gathering[index]!.finishChunk!(context);
  }

  /** Answers what a handler threw. */
  answerThrown(context: SessionContext, frame: Frame, error: unknown): void {
    if (error instanceof AssertionError) throw error;
    const code = errorCodeOf(error);
    if (code === undefined) {
      this.#log.error({ err: error, operation: operationOf(frame) }, 'request failed');
      answer(context, frame, 'INTERNAL', 'the server failed on this request; its log says why');
      return;
    }
    answer(context, frame, code, messageOf(error));
  }

  #refuse(context: SessionContext, frame: Frame, handler: Operation | undefined): void {
    const operation = operationOf(frame);
    if (handler === undefined) {
      answer(context, frame, 'UNKNOWN_OPERATION', `this port serves no operation ${operation}`);
    } else if (this.isDraining) {
      answer(context, frame, 'SHUTTING_DOWN', 'the server is shutting down');
    } else {
      answer(
        context,
        frame,
        'MALFORMED_REQUEST',
        'flags and reserved fields of the request header must be 0',
      );
    }
  }
}

function answer(context: SessionContext, frame: Frame, code: ErrorCodeName, message: string): void {
  context.respondError(operationOf(frame), correlationIdOf(frame), code, message);
}
