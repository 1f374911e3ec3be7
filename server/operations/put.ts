/**
 * PUT: checks every row, hands the request to the store, and answers when it is durable.
 *
 * The form of the whole request is checked before any of it is written: one bad row refuses all of it. What depends on
 * the rows that are there, or on the clock, the store decides row by row.
 */
import {
  decodePutRequest,
  type Frame,
  OPERATIONS,
  ProtocolError,
  readGroupId,
  readSchemaVersion,
  WriteScratch,
} from '../../protocol/index.ts';
import type { Operation, SessionContext } from '../operation.ts';
import type { PendingWrites } from '../pending-writes.ts';
import type { ShardServices } from '../shard-services.ts';

export function putOperation(shard: ShardServices, writes: PendingWrites): Operation {
  // The store copies what it takes, so the next request may be decoded into the same place.
  const scratch = new WriteScratch();
  return {
    number: OPERATIONS.PUT,
    handle(context: SessionContext, frame: Frame): void {
      const { schema, layouts } = shard.groups.byId(readGroupId(frame));
      const schemaVersion = readSchemaVersion(frame);
      // A writer that has not heard of a change goes on with the schema it knows: readers know that one too.
      const layout = layouts.of(schemaVersion);
      if (layout === undefined) {
        throw new ProtocolError(
          'SCHEMA_VERSION_UNKNOWN',
          `group "${schema.name}" has schema version ${schema.version}; the rows have ${schemaVersion}`,
        );
      }
      const request = decodePutRequest(frame, schema.key, layout, scratch);
      shard.resolve(request.keys);
      writes.submit(context, frame, {
        groupId: request.groupId,
        keys: request.keys,
        eventTimes: request.eventTimes,
        isBackfill: request.isBackfill,
        ifVersions: request.ifVersions,
        rows: request.rows,
        rowOffsets: request.rowOffsets,
        ttlSeconds: schema.ttlSeconds,
        merge: null,
      });
    },
  };
}
