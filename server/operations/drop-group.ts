/** DROP_GROUP, on the main thread: gone from the catalog, then unknown to every thread, then answered. */
import {
  type ByteWriter,
  decodeDropGroupRequest,
  encodeDropGroupResponse,
  type Frame,
  OPERATIONS,
} from '../../protocol/index.ts';
import type { ControlNode, ControlOperation } from '../control-service.ts';
import { correlationIdOf } from '../request-fields.ts';

export const dropGroup: ControlOperation = {
  number: OPERATIONS.DROP_GROUP,
  async handle(node: ControlNode, frame: Frame, writer: ByteWriter): Promise<void> {
    const groupId = node.catalog.drop(decodeDropGroupRequest(frame)).id;
    await node.broadcast((requestId) => ({ type: 'group-dropped', requestId, groupId }));
    encodeDropGroupResponse(writer, correlationIdOf(frame));
  },
};
