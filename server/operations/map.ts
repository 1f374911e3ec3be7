/** MAP: the partition map, as this thread knows it. */
import type { PartitionOwnership } from '../../cluster/index.ts';
import {
  ByteWriter,
  decodeMapRequest,
  encodeMapResponse,
  type Frame,
  OPERATIONS,
} from '../../protocol/index.ts';
import type { Operation, SessionContext } from '../operation.ts';
import { correlationIdOf } from '../request-fields.ts';

export function mapOperation(ownership: () => PartitionOwnership): Operation {
  const writer = new ByteWriter();
  return {
    number: OPERATIONS.MAP,
    handle(context: SessionContext, frame: Frame): void {
      decodeMapRequest(frame);
      writer.reset();
      encodeMapResponse(writer, correlationIdOf(frame), ownership().map());
      context.send(writer.bytes.subarray(0, writer.length));
    },
  };
}
