/**
 * PATCH: checks every patch, hands the request to the store with the merge of its group, and answers when it is durable.
 *
 * The store calls the merge when it knows the newest version of a row, which may be in a later turn; it is then that of
 * the group as it is by then.
 */
import {
  decodePatchRequest,
  type Frame,
  OPERATIONS,
  readGroupId,
  WriteScratch,
} from '../../protocol/index.ts';
import type { Operation, SessionContext } from '../operation.ts';
import type { PatchMerges } from '../patch-merges.ts';
import type { PendingWrites } from '../pending-writes.ts';
import type { ShardServices } from '../shard-services.ts';

export function patchOperation(shard: ShardServices, writes: PendingWrites, merges: PatchMerges): Operation {
  // The store copies what it takes, so the next request may be decoded into the same place.
  const scratch = new WriteScratch();
  return {
    number: OPERATIONS.PATCH,
    handle(context: SessionContext, frame: Frame): void {
      const { schema, layout } = shard.groups.byId(readGroupId(frame));
      const request = decodePatchRequest(frame, schema.key, layout, scratch);
      shard.resolve(request.keys);
      writes.submit(context, frame, {
        groupId: request.groupId,
        keys: request.keys,
        eventTimes: request.eventTimes,
        isBackfill: false,
        isTimeFloor: request.isTimeFloor,
        ifVersions: request.ifVersions,
        rows: request.rows,
        rowOffsets: request.rowOffsets,
        ttlSeconds: schema.ttlSeconds,
        merge: merges.of(schema.id),
      });
    },
  };
}
