/**
 * GET: looks the keys up and copies their rows straight from the store's arenas into the response.
 *
 *   decode keys -> digests -> one key: gathered with its neighbours' (gathered-gets.ts)
 *                          -> several: store.read: places -> measure -> reserve -> copy
 *
 * All in one turn, with no object a key.
 */
import {
  decodeGetRequest,
  FRAME_BYTES_MAX,
  type Frame,
  getRowsAt,
  OPERATIONS,
  ProtocolError,
  RESPONSE_HEADER_BYTES,
  readGroupId,
} from '../../protocol/index.ts';
import { GatheredGets } from '../gathered-gets.ts';
import type { Operation, SessionContext } from '../operation.ts';
import { correlationIdOf } from '../request-fields.ts';
import { measureRows, writeRows } from '../row-response.ts';
import type { ShardServices } from '../shard-services.ts';

export function getOperation(shard: ShardServices): Operation {
  const { groups, keys, batch, store } = shard;
  const gathered = new GatheredGets(shard);
  return {
    number: OPERATIONS.GET,
    handle(context: SessionContext, frame: Frame): void {
      const group = groups.byId(readGroupId(frame));
      if (gathered.addPlain(context, group, frame)) return;
      const correlationId = correlationIdOf(frame);
      decodeGetRequest(frame, group.schema.key, keys);
      shard.resolve(keys);
      const { count } = keys;
      if (count === 1 && gathered.add(context, group.schema.id, keys, correlationId)) return;
      shard.lookUp(group.schema.id, keys, context.receivedAtMicros, batch);
      const bodyBytes = getRowsAt(count) + measureRows(batch, store.arenas, 0, count);
      if (bodyBytes > FRAME_BYTES_MAX - RESPONSE_HEADER_BYTES) refuseSize(count, bodyBytes);
      const body = context.reserve(OPERATIONS.GET, correlationId, bodyBytes, 0);
      writeRows(batch, store.arenas, 0, count, context.output, body);
    },
    finishChunk: (context: SessionContext): void => gathered.run(context),
  };
}

function refuseSize(count: number, bytes: number): never {
  throw new ProtocolError(
    'BATCH_TOO_LARGE',
    `the rows of these ${count} keys take ${bytes} bytes, and one response at most ${FRAME_BYTES_MAX}: ask for fewer`,
  );
}
