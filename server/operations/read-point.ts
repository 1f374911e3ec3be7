/** READ_POINT: closes a read point of this shard, and answers when it holds. */
import {
  ByteWriter,
  decodeReadPointRequest,
  encodeReadPointResponse,
  type Frame,
  OPERATIONS,
  ProtocolError,
} from '../../protocol/index.ts';
import type { Operation, SessionContext } from '../operation.ts';
import { correlationIdOf } from '../request-fields.ts';
import { errorCodeOf, messageOf } from '../server-error.ts';
import type { ShardServices } from '../shard-services.ts';

/** How far after the clock a read point may be asked for: other shards' clocks are not further apart than events may be. */
const AHEAD_MICROS_MAX: number = 5 * 60 * 1e6;
const RESPONSE_BYTES = 24;

export function readPointOperation(shard: ShardServices): Operation {
  return {
    number: OPERATIONS.READ_POINT,
    handle(context: SessionContext, frame: Frame): void {
      const atLeastMicros = decodeReadPointRequest(frame);
      const correlationId = correlationIdOf(frame);
      if (atLeastMicros > context.receivedAtMicros + AHEAD_MICROS_MAX) {
        throw new ProtocolError(
          'READ_POINT_INVALID',
          `a read point of at least ${atLeastMicros} µs is over 5 minutes after this shard's clock`,
        );
      }
      context.acquire(0);
      shard.store.closeReadPoint(atLeastMicros).then(
        (micros) => {
          const writer = new ByteWriter(RESPONSE_BYTES);
          encodeReadPointResponse(writer, correlationId, micros);
          context.send(writer.finish());
          context.release(0);
        },
        (error: unknown) => {
          const code = errorCodeOf(error) ?? 'INTERNAL';
          context.respondError(OPERATIONS.READ_POINT, correlationId, code, messageOf(error));
          context.release(0);
        },
      );
    },
  };
}
