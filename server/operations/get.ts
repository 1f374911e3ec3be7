/**
 * GET: looks the keys up and copies their rows straight from the store's arenas into the response.
 *
 *   decode keys -> digests -> one key: gathered with its neighbours' (gathered-gets.ts)
 *                          -> several: shard.tryRead: places -> measure -> reserve -> copy
 *                          -> from the device, or too many for one turn: pending-reads.ts
 *
 * All in one turn where the rows are in memory, with no object a key.
 */
import {
  decodeGetRequest,
  FRAME_BYTES_MAX,
  type Frame,
  getRowsAt,
  OPERATIONS,
  RESPONSE_HEADER_BYTES,
  readGroupId,
} from '../../protocol/index.ts';
import type { ReadBatch } from '../../storage/index.ts';
import { deadlineOf } from '../deadlines.ts';
import { GatheredGets } from '../gathered-gets.ts';
import { READ_KEYS_MAX, READ_TURN_BYTES } from '../limits.ts';
import type { Operation, SessionContext } from '../operation.ts';
import type { PendingReads, ReadResponder } from '../pending-reads.ts';
import { correlationIdOf } from '../request-fields.ts';
import { measureRows, refuseRowsSize, SlicedRows, writeRows } from '../row-response.ts';
import type { ShardServices } from '../shard-services.ts';

export function getOperation(shard: ShardServices, reads: PendingReads): Operation {
  const { groups, keys, batch } = shard;
  const responder = getResponder(shard);
  const gathered = new GatheredGets(shard, reads, responder);
  return {
    number: OPERATIONS.GET,
    handle(context: SessionContext, frame: Frame): void {
      const group = groups.byId(readGroupId(frame));
      if (gathered.addPlain(context, group, frame)) return;
      const correlationId = correlationIdOf(frame);
      decodeGetRequest(frame, group.schema.key, keys);
      shard.resolve(keys);
      const { id } = group.schema;
      if (keys.count === 1 && gathered.add(context, id, keys, frame)) return;
      if (
        keys.count <= READ_KEYS_MAX &&
        shard.tryRead(id, keys, context.receivedAtMicros, batch) &&
        batch.count === keys.count &&
        responder.respond(context, correlationId, batch)
      ) {
        return;
      }
      const frameBytes = frame.end - frame.offset;
      const origin = { context, correlationId, deadlineMs: deadlineOf(context, frame), frameBytes };
      reads.start(origin, id, context.receivedAtMicros, keys, responder);
    },
    finishChunk: (context: SessionContext): void => gathered.run(context),
  };
}

function getResponder(shard: ShardServices): ReadResponder {
  const { arenas } = shard.store;
  return {
    operation: OPERATIONS.GET,
    respond(context: SessionContext, correlationId: number, batch: ReadBatch): boolean {
      const { count } = batch;
      const rowBytes = measureRows(batch, arenas, 0, count);
      if (count > 1 && rowBytes > READ_TURN_BYTES) return false;
      const bodyBytes = getRowsAt(count) + rowBytes;
      if (bodyBytes > FRAME_BYTES_MAX - RESPONSE_HEADER_BYTES) refuseRowsSize(count, bodyBytes);
      const body = context.reserve(OPERATIONS.GET, correlationId, bodyBytes, 0);
      writeRows(batch, arenas, 0, count, context.output, body);
      return true;
    },
    // How many bytes the rows will have is not known before.
    slicedBytes: () => FRAME_BYTES_MAX,
    slice: (count, chunks) => new SlicedRows(count, chunks),
  };
}
