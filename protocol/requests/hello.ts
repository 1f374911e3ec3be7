/**
 * HELLO, the first frame of every connection: versions are agreed on, the client says who it is, the server what it
 * is and under which seed keys are digested.
 *
 *   request body    0 "MILLRACE" | 8 u16 minVersion | 10 u16 maxVersion | 12 u32 0 | 16 MessagePack {client, token?}
 *   response body   0 u16 chosen version | 2 u16 0 | 4 u32 0 | 8 MessagePack {server, clusterId, nodeId,
 *                   hashSeed: bin of 8, role: 'shard' | 'scan', shardIndex, shardCount, frameBytesMax}
 *
 * The fixed prefixes and the frame header around them (version byte 1) never change, so any two versions can greet.
 */

import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import {
  beginRequest,
  beginResponse,
  endFrame,
  type RequestOptions,
  requestBody,
  responseBody,
} from '../frame-header.ts';
import { SHARDS_MAX } from '../limits.ts';
import { decodeMessagePackMap, encodeMessagePack } from '../message-pack.ts';
import { OPERATIONS } from '../operation.ts';
import { ProtocolError } from '../protocol-error.ts';
import { PROTOCOL_VERSION, PROTOCOL_VERSION_MIN } from '../version.ts';
import { binaryField, integerField, refuseField, textField } from './control.ts';

const MAGIC = 'MILLRACE';
const REQUEST_PREFIX_BYTES = 16;
const RESPONSE_PREFIX_BYTES = 8;
/** Names and tokens in a greeting. */
const TEXT_LENGTH_MAX = 1024;

export interface HelloRequest {
  minVersion: number;
  maxVersion: number;
  /** Name and version of the client, for logs. */
  client: string;
  token?: string;
}

export interface HelloResponse {
  version: number;
  /** Name and version of the server, for logs. */
  server: string;
  clusterId: string;
  nodeId: string;
  /** The cluster's hash seed, as two u32. */
  seedLo: number;
  seedHi: number;
  role: 'shard' | 'scan';
  shardIndex: number;
  shardCount: number;
  /** The largest frame this server takes or sends. */
  frameBytesMax: number;
}

export function encodeHelloRequest(
  writer: ByteWriter,
  options: RequestOptions,
  request: { client: string; token?: string; minVersion?: number; maxVersion?: number },
): void {
  const start = beginRequest(writer, OPERATIONS.HELLO, options);
  writer.raw(Buffer.from(MAGIC, 'latin1'));
  writer.u16(request.minVersion ?? PROTOCOL_VERSION_MIN);
  writer.u16(request.maxVersion ?? PROTOCOL_VERSION);
  writer.u32(0);
  const body =
    request.token === undefined
      ? { client: request.client }
      : { client: request.client, token: request.token };
  writer.raw(encodeMessagePack(body));
  endFrame(writer, start);
}

export function decodeHelloRequest(frame: Frame): HelloRequest {
  const body = requestBody(frame);
  const bytes = frame.end - body;
  if (bytes < REQUEST_PREFIX_BYTES || !hasMagic(frame.bytes, body)) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `a HELLO body begins with "${MAGIC}" and two versions; this has ${bytes} bytes and does not`,
    );
  }
  const minVersion = frame.view.getUint16(body + 8, true);
  const maxVersion = frame.view.getUint16(body + 10, true);
  const map = decodeMessagePackMap(frame.bytes, body + REQUEST_PREFIX_BYTES, frame.end);
  const request: HelloRequest = { minVersion, maxVersion, client: textField(map, 'client', TEXT_LENGTH_MAX) };
  if (map['token'] !== undefined && map['token'] !== null)
    request.token = textField(map, 'token', TEXT_LENGTH_MAX);
  return request;
}

export function encodeHelloResponse(
  writer: ByteWriter,
  correlationId: number,
  response: HelloResponse,
): void {
  const start = beginResponse(writer, OPERATIONS.HELLO, correlationId);
  writer.u16(response.version);
  writer.u16(0);
  writer.u32(0);
  const hashSeed = Buffer.alloc(8);
  hashSeed.writeUInt32LE(response.seedLo, 0);
  hashSeed.writeUInt32LE(response.seedHi, 4);
  writer.raw(
    encodeMessagePack({
      server: response.server,
      clusterId: response.clusterId,
      nodeId: response.nodeId,
      hashSeed,
      role: response.role,
      shardIndex: response.shardIndex,
      shardCount: response.shardCount,
      frameBytesMax: response.frameBytesMax,
    }),
  );
  endFrame(writer, start);
}

export function decodeHelloResponse(frame: Frame): HelloResponse {
  const body = responseBody(frame);
  if (frame.end - body < RESPONSE_PREFIX_BYTES) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `a HELLO answer has at least ${RESPONSE_PREFIX_BYTES} bytes; this has ${frame.end - body}`,
    );
  }
  const map = decodeMessagePackMap(frame.bytes, body + RESPONSE_PREFIX_BYTES, frame.end);
  const role = map['role'];
  const seed = binaryField(map, 'hashSeed', 8);
  const seedView = new DataView(seed.buffer, seed.byteOffset, 8);
  return {
    version: frame.view.getUint16(body, true),
    server: textField(map, 'server', TEXT_LENGTH_MAX),
    clusterId: textField(map, 'clusterId', TEXT_LENGTH_MAX),
    nodeId: textField(map, 'nodeId', TEXT_LENGTH_MAX),
    seedLo: seedView.getUint32(0, true),
    seedHi: seedView.getUint32(4, true),
    role: role === 'shard' || role === 'scan' ? role : refuseField('role', role, "'shard' or 'scan'"),
    shardIndex: integerField(map, 'shardIndex', 0, SHARDS_MAX - 1),
    shardCount: integerField(map, 'shardCount', 1, SHARDS_MAX),
    frameBytesMax: integerField(map, 'frameBytesMax', 1024, 0x7fffffff),
  };
}

function hasMagic(bytes: Uint8Array, offset: number): boolean {
  for (let index = 0; index < MAGIC.length; index++) {
    if (bytes[offset + index] !== MAGIC.charCodeAt(index)) return false;
  }
  return true;
}
