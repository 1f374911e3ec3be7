/**
 * An erasure as its asker sees it: one request on a connection of its own, for it may take minutes. It is not tried again.
 */
import {
  decodeEraseResponse,
  type Erasure,
  encodeEraseRequest,
  encodeKeys,
  type GroupSchema,
  OPERATIONS,
  partitionOf,
} from '../protocol/index.ts';
import type { Dispatcher } from './dispatcher.ts';
import { MillraceError, toMillraceError } from './errors.ts';
import { openConnection } from './handshake.ts';
import { ERASE_TIMEOUT_MS_DEFAULT } from './limits.ts';

export async function eraseKey(
  dispatcher: Dispatcher,
  schema: GroupSchema,
  key: unknown,
  timeoutMs: number = ERASE_TIMEOUT_MS_DEFAULT,
): Promise<Erasure> {
  dispatcher.assertOpen();
  const keys = encodeKeys(schema.key, [key]);
  keys.digest(dispatcher.hello.seedLo, dispatcher.hello.seedHi);
  const partition = partitionOf(keys.digests[0]!);
  const { host, port } = dispatcher.map.shards[dispatcher.map.shardOfPartition[partition]!]!;
  const request = { groupId: schema.id, key: keys.bytes.slice(keys.offsets[0], keys.offsets[1]) };
  const { connection, hello } = await openConnection({ host, port }, dispatcher.context);
  const timer = setTimeout(
    () => connection.close(new MillraceError('TIMEOUT', `the key was not erased within ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    dispatcher.assertSameCluster(hello);
    return await new Promise<Erasure>((resolve, reject) => {
      connection.send({
        operation: OPERATIONS.ERASE,
        deadlineMs: Number.POSITIVE_INFINITY,
        sequence: 0,
        encode: (writer, options) => encodeEraseRequest(writer, options, request),
        fail: reject,
        receive: (frame) => {
          try {
            resolve(decodeEraseResponse(frame));
          } catch (error) {
            reject(toMillraceError(error));
          }
        },
      });
    });
  } finally {
    clearTimeout(timer);
    connection.close(new MillraceError('CANCELLED', 'the erasure has ended'));
  }
}
