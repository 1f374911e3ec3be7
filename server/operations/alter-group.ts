/**
 * ALTER_GROUP, on the main thread: durable in the catalog, then known to every thread, then answered.
 *
 * So nobody holds the new schema before every shard reads and takes rows of its version; rows of the versions before
 * are taken and read by every thread at any time.
 */
import {
  type ByteWriter,
  decodeAlterGroupRequest,
  encodeAlterGroupResponse,
  type Frame,
  OPERATIONS,
} from '../../protocol/index.ts';
import type { ControlNode, ControlOperation } from '../control-service.ts';
import { correlationIdOf } from '../request-fields.ts';

export const alterGroup: ControlOperation = {
  number: OPERATIONS.ALTER_GROUP,
  async handle(node: ControlNode, frame: Frame, writer: ByteWriter): Promise<void> {
    const { name, change } = decodeAlterGroupRequest(frame);
    const group = node.catalog.alter(name, change, node.nowMicros());
    await node.broadcast((requestId) => ({ type: 'group-changed', requestId, group }));
    encodeAlterGroupResponse(writer, correlationIdOf(frame), group);
  },
};
