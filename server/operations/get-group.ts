/** GET_GROUP, on the main thread: a schema by its group's name. */
import {
  type ByteWriter,
  decodeGetGroupRequest,
  encodeGetGroupResponse,
  type Frame,
  OPERATIONS,
} from '../../protocol/index.ts';
import type { ControlNode, ControlOperation } from '../control-service.ts';
import { correlationIdOf } from '../request-fields.ts';

export const getGroup: ControlOperation = {
  number: OPERATIONS.GET_GROUP,
  async handle(node: ControlNode, frame: Frame, writer: ByteWriter): Promise<void> {
    encodeGetGroupResponse(writer, correlationIdOf(frame), node.catalog.get(decodeGetGroupRequest(frame)));
  },
};
