/** CREATE_GROUP, on the main thread: durable in the catalog, then known to every thread, then answered. */
import { strict as assert } from 'node:assert';
import {
  type ByteWriter,
  decodeCreateGroupRequest,
  encodeCreateGroupResponse,
  type Frame,
  type GroupSchema,
  OPERATIONS,
  schemaFromSpec,
} from '../../protocol/index.ts';
import type { ControlNode, ControlOperation } from '../control-service.ts';
import { correlationIdOf } from '../request-fields.ts';

export const createGroup: ControlOperation = {
  number: OPERATIONS.CREATE_GROUP,
  async handle(node: ControlNode, frame: Frame, writer: ByteWriter): Promise<void> {
    const { spec, ifNotExists } = decodeCreateGroupRequest(frame);
    const existing = node.catalog.find(spec.name);
    if (ifNotExists && existing !== undefined) {
      // What the spec would have become here, were it new: equal but for what a request cannot say.
      const wanted = schemaFromSpec(spec, existing.id, existing.createdAtMicros);
      if (isSame(existing, wanted)) {
        encodeCreateGroupResponse(writer, correlationIdOf(frame), existing);
        return;
      }
    }
    const group = node.catalog.create(spec, node.nowMicros());
    await node.broadcast((requestId) => ({ type: 'group-added', requestId, group }));
    encodeCreateGroupResponse(writer, correlationIdOf(frame), group);
  },
};

function isSame(left: GroupSchema, right: GroupSchema): boolean {
  assert(left.name === right.name, 'two schemas of one name are compared');
  return (
    left.eventTimeName === right.eventTimeName &&
    left.ttlSeconds === right.ttlSeconds &&
    left.retentionSeconds === right.retentionSeconds &&
    left.latenessSeconds === right.latenessSeconds &&
    left.durability === right.durability &&
    left.key.length === right.key.length &&
    left.key.every(
      ({ name, type }, index) => right.key[index]!.name === name && right.key[index]!.type === type,
    ) &&
    left.features.length === right.features.length &&
    left.features.every((feature, index) => {
      const other = right.features[index]!;
      return (
        feature.name === other.name &&
        feature.type === other.type &&
        feature.length === other.length &&
        feature.item === other.item &&
        feature.default === other.default
      );
    })
  );
}
