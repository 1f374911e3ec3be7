/**
 * A worker's side of the control requests that only the main thread may answer.
 *
 * I1  At most CONTROL_REQUESTS_MAX await an answer; one more is refused OVERLOADED.
 * I2  Each is answered once: by the main thread, or DEADLINE_EXCEEDED when its time is up before.
 */
import { strict as assert } from 'node:assert';
import { type Frame, ProtocolError } from '../protocol/index.ts';
import { type Deadline, type Deadlines, deadlineOf, NO_DEADLINE } from './deadlines.ts';
import { CONTROL_REQUESTS_MAX } from './limits.ts';
import type { Operation, SessionContext } from './operation.ts';
import { correlationIdOf } from './request-fields.ts';
import type { ControlRequest } from './worker-messages.ts';

class PendingControl implements Deadline {
  readonly deadlineMs: number;
  readonly context: SessionContext;
  readonly operation: number;
  readonly correlationId: number;
  readonly bytes: number;
  isAnswered = false;

  constructor(context: SessionContext, operation: number, frame: Frame) {
    this.context = context;
    this.operation = operation;
    this.correlationId = correlationIdOf(frame);
    this.bytes = frame.end - frame.offset;
    this.deadlineMs = deadlineOf(context, frame);
  }

  expire(): void {
    this.isAnswered = true;
    this.context.respondError(
      this.operation,
      this.correlationId,
      'DEADLINE_EXCEEDED',
      'the request was not answered in the time it had; it may still take effect',
    );
  }
}

export class ControlLink {
  readonly #send: (request: ControlRequest) => void;
  readonly #deadlines: Deadlines;
  readonly #pending: Map<number, PendingControl> = new Map();
  #nextRequestId = 1;

  constructor(deadlines: Deadlines, send: (request: ControlRequest) => void) {
    this.#deadlines = deadlines;
    this.#send = send;
  }

  /** The operation that forwards requests of this number. */
  forwarding(operation: number): Operation {
    return {
      number: operation,
      handle: (context: SessionContext, frame: Frame): void => this.#forward(operation, context, frame),
    };
  }

  answer(requestId: number, frame: Uint8Array): void {
    const pending = this.#pending.get(requestId);
    assert(pending !== undefined, 'a control request is answered once');
    this.#pending.delete(requestId);
    if (pending.deadlineMs !== NO_DEADLINE) this.#deadlines.remove(pending);
    if (!pending.isAnswered) pending.context.send(frame);
    pending.context.release(pending.bytes);
  }

  #forward(operation: number, context: SessionContext, frame: Frame): void {
    if (this.#pending.size >= CONTROL_REQUESTS_MAX) {
      throw new ProtocolError(
        'OVERLOADED',
        `${CONTROL_REQUESTS_MAX} control requests already wait on this shard`,
      );
    }
    const requestId = this.#nextRequestId++;
    const pending = new PendingControl(context, operation, frame);
    context.acquire(pending.bytes);
    this.#pending.set(requestId, pending);
    if (pending.deadlineMs !== NO_DEADLINE) this.#deadlines.add(pending);
    // A copy in a buffer of its own: posting a view would copy the whole buffer under it.
    this.#send({
      type: 'control',
      requestId,
      frame: new Uint8Array(frame.bytes.subarray(frame.offset, frame.end)),
    });
  }
}
