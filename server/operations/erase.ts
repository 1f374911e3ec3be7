/** ERASE: every version of one key leaves every file of the node; answered with the proof (eraser.ts). */
import {
  ByteWriter,
  decodeEraseRequest,
  encodeEraseResponse,
  type Frame,
  OPERATIONS,
  partitionOf,
} from '../../protocol/index.ts';
import type { Eraser } from '../eraser.ts';
import type { Operation, SessionContext } from '../operation.ts';
import { correlationIdOf } from '../request-fields.ts';
import { errorCodeOf, messageOf } from '../server-error.ts';
import type { ShardServices } from '../shard-services.ts';

export function eraseOperation(shard: ShardServices, eraser: Eraser): Operation {
  const digests = new Uint32Array(2);
  return {
    number: OPERATIONS.ERASE,
    handle(context: SessionContext, frame: Frame): void {
      const { groupId, key } = decodeEraseRequest(frame);
      shard.groups.byId(groupId);
      shard.resolveOne(key, 0, key.length, digests, 0);
      const [digestLo, digestHi] = digests as unknown as [number, number];
      const erased = { group: groupId, partition: partitionOf(digestLo), digestLo, digestHi, key };
      const correlationId = correlationIdOf(frame);
      const erasing = eraser.erase(erased);
      context.acquire(key.length);
      const done = (answer: () => void): void => {
        answer();
        context.release(key.length);
      };
      erasing.then(
        (erasure) =>
          done(() => {
            const writer = new ByteWriter();
            encodeEraseResponse(writer, correlationId, erasure);
            context.send(writer.finish());
          }),
        (error: unknown) =>
          done(() => {
            const code = errorCodeOf(error) ?? 'INTERNAL';
            context.respondError(OPERATIONS.ERASE, correlationId, code, messageOf(error));
          }),
      );
    },
  };
}
