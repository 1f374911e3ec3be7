/** STATUS, on the main thread: how the node and each of its shards are. */
import {
  type ByteWriter,
  decodeStatusRequest,
  encodeStatusResponse,
  type Frame,
  OPERATIONS,
} from '../../protocol/index.ts';
import type { ControlNode, ControlOperation } from '../control-service.ts';
import { correlationIdOf } from '../request-fields.ts';

export const status: ControlOperation = {
  number: OPERATIONS.STATUS,
  async handle(node: ControlNode, frame: Frame, writer: ByteWriter): Promise<void> {
    decodeStatusRequest(frame);
    encodeStatusResponse(writer, correlationIdOf(frame), await node.status());
  },
};
