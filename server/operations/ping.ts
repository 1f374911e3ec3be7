/** PING: answered by the thread that got it, so it measures that thread's event loop. */
import { decodePingRequest, type Frame, OPERATIONS } from '../../protocol/index.ts';
import type { Operation, SessionContext } from '../operation.ts';
import { correlationIdOf } from '../request-fields.ts';

export function pingOperation(): Operation {
  return {
    number: OPERATIONS.PING,
    handle(context: SessionContext, frame: Frame): void {
      decodePingRequest(frame);
      context.reserve(OPERATIONS.PING, correlationIdOf(frame), 0, 0);
    },
  };
}
