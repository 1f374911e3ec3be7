/** DELETE: a tombstone a key, each at its event time; answered when they are durable. */
import {
  decodeDeleteRequest,
  type Frame,
  OPERATIONS,
  readGroupId,
  WriteScratch,
} from '../../protocol/index.ts';
import type { Operation, SessionContext } from '../operation.ts';
import type { PendingWrites } from '../pending-writes.ts';
import type { ShardServices } from '../shard-services.ts';

const NO_ROWS: Uint8Array = new Uint8Array(0);

export function deleteOperation(shard: ShardServices, writes: PendingWrites): Operation {
  // The store copies what it takes, so the next request may be decoded into the same place.
  const scratch = new WriteScratch();
  return {
    number: OPERATIONS.DELETE,
    handle(context: SessionContext, frame: Frame): void {
      const { schema } = shard.groups.byId(readGroupId(frame));
      const request = decodeDeleteRequest(frame, schema.key, scratch);
      shard.resolve(request.keys);
      // A tombstone has no lifetime of its own: it must outlive every version that it hides.
      writes.submit(context, frame, {
        groupId: request.groupId,
        keys: request.keys,
        eventTimes: request.eventTimes,
        isBackfill: request.isBackfill,
        ifVersions: request.ifVersions,
        ttlSeconds: 0,
        rows: NO_ROWS,
        rowOffsets: null,
        merge: null,
      });
    },
  };
}
