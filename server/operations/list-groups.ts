/** LIST_GROUPS, on the main thread: every schema, by name. */
import {
  type ByteWriter,
  decodeListGroupsRequest,
  encodeListGroupsResponse,
  type Frame,
  OPERATIONS,
} from '../../protocol/index.ts';
import type { ControlNode, ControlOperation } from '../control-service.ts';
import { correlationIdOf } from '../request-fields.ts';

export const listGroups: ControlOperation = {
  number: OPERATIONS.LIST_GROUPS,
  async handle(node: ControlNode, frame: Frame, writer: ByteWriter): Promise<void> {
    decodeListGroupsRequest(frame);
    encodeListGroupsResponse(writer, correlationIdOf(frame), node.catalog.groups());
  },
};
