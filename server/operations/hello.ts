/** HELLO: agrees on a version and says who answers. The session opens when it was answered (session.ts). */
import {
  ByteWriter,
  chooseVersion,
  decodeHelloRequest,
  encodeHelloResponse,
  FRAME_BYTES_MAX,
  type Frame,
  OPERATIONS,
  PROTOCOL_VERSION,
  PROTOCOL_VERSION_MIN,
  ProtocolError,
} from '../../protocol/index.ts';
import type { Operation, SessionContext } from '../operation.ts';
import { correlationIdOf } from '../request-fields.ts';
import { SERVER_NAME } from '../server-version.ts';
import type { WorkerData } from '../worker-messages.ts';

export function helloOperation(data: WorkerData): Operation {
  const { identity, role, shardIndex, shardCount } = data;
  const writer = new ByteWriter();
  return {
    number: OPERATIONS.HELLO,
    handle(context: SessionContext, frame: Frame): void {
      const { minVersion, maxVersion } = decodeHelloRequest(frame);
      const version = chooseVersion(minVersion, maxVersion);
      if (version === 0) {
        throw new ProtocolError(
          'UNSUPPORTED_VERSION',
          `the client speaks versions ${minVersion} to ${maxVersion}, this server ${PROTOCOL_VERSION_MIN} to ${PROTOCOL_VERSION}`,
        );
      }
      writer.reset();
      encodeHelloResponse(writer, correlationIdOf(frame), {
        version,
        server: SERVER_NAME,
        clusterId: identity.clusterId,
        nodeId: identity.nodeId,
        seedLo: identity.hashSeedLo,
        seedHi: identity.hashSeedHi,
        role,
        shardIndex,
        shardCount,
        frameBytesMax: FRAME_BYTES_MAX,
      });
      context.send(writer.bytes.subarray(0, writer.length));
    },
  };
}
