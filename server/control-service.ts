/**
 * Control requests, answered on the main thread: the catalog's, and the node's status.
 *
 * I1  They are handled one after the other, so a group is seen by GET_GROUP only when every thread knows it, and two
 *     creations of one name cannot cross.
 * I2  A request frame gives a response frame, whatever it holds: what is thrown becomes an error response.
 *
 * Bound: each worker has at most CONTROL_REQUESTS_MAX on their way here.
 */
import { AssertionError } from 'node:assert';
import {
  ByteWriter,
  encodeErrorResponse,
  FRAME_BYTES_MAX,
  type Frame,
  type NodeStatus,
} from '../protocol/index.ts';
import type { Catalog } from './catalog.ts';
import type { Logger } from './log.ts';
import { alterGroup } from './operations/alter-group.ts';
import { createGroup } from './operations/create-group.ts';
import { dropGroup } from './operations/drop-group.ts';
import { getGroup } from './operations/get-group.ts';
import { listGroups } from './operations/list-groups.ts';
import { status } from './operations/status.ts';
import { correlationIdOf, operationOf } from './request-fields.ts';
import { errorCodeOf, messageOf } from './server-error.ts';
import type { MainMessage } from './worker-messages.ts';

/** What a control operation may use. */
export interface ControlNode {
  readonly catalog: Catalog;
  nowMicros(): number;
  /** Settles when every thread has done as the message says. */
  broadcast(message: (requestId: number) => MainMessage): Promise<void>;
  status(): Promise<NodeStatus>;
}

export interface ControlOperation {
  readonly number: number;
  /** Appends one response frame to the writer, or throws what refuses the request. */
  handle(node: ControlNode, frame: Frame, writer: ByteWriter): Promise<void>;
}

const CONTROL_OPERATIONS: ReadonlyMap<number, ControlOperation> = new Map(
  [createGroup, alterGroup, getGroup, listGroups, dropGroup, status].map((operation) => [
    operation.number,
    operation,
  ]),
);

export class ControlService {
  readonly #node: ControlNode;
  readonly #log: Logger;
  #last: Promise<unknown> = Promise.resolve();

  constructor(node: ControlNode, log: Logger) {
    this.#node = node;
    this.#log = log;
  }

  /** Rejects only when one of our assertions failed. */
  answer(request: Uint8Array): Promise<Uint8Array> {
    const answered = this.#last.then(() => this.#answer(request));
    this.#last = answered.catch(() => undefined);
    return answered;
  }

  async #answer(request: Uint8Array): Promise<Uint8Array> {
    const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
    const frame: Frame = { bytes: request, view, offset: 0, end: request.byteLength };
    const writer = new ByteWriter(1024, FRAME_BYTES_MAX);
    try {
      await CONTROL_OPERATIONS.get(operationOf(frame))!.handle(this.#node, frame, writer);
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      writer.reset();
      this.#encodeError(writer, frame, error);
    }
    return writer.finish();
  }

  #encodeError(writer: ByteWriter, frame: Frame, error: unknown): void {
    const known = errorCodeOf(error);
    if (known === undefined || known === 'INTERNAL')
      this.#log.error({ err: error }, 'a control request failed');
    const message =
      known === undefined ? 'the server failed on this request; its log says why' : messageOf(error);
    encodeErrorResponse(writer, operationOf(frame), correlationIdOf(frame), known ?? 'INTERNAL', message);
  }
}
