/**
 * The shape all control messages share: after the frame header one MessagePack map and nothing else. Unknown fields
 * are ignored, so that a later version may add some.
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
import { decodeMessagePackMap, encodeMessagePack, type MessagePackMap } from '../message-pack.ts';
import { describeValue, ProtocolError } from '../protocol-error.ts';

export function appendControlRequest(
  writer: ByteWriter,
  operation: number,
  options: RequestOptions,
  body: object,
): void {
  const start = beginRequest(writer, operation, options);
  writer.raw(encodeMessagePack(body));
  endFrame(writer, start);
}

export function readControlRequest(frame: Frame): MessagePackMap {
  return decodeMessagePackMap(frame.bytes, requestBody(frame), frame.end);
}

export function appendControlResponse(
  writer: ByteWriter,
  operation: number,
  correlationId: number,
  body: object,
  flags: number = 0,
  status: number = 0,
): void {
  const start = beginResponse(writer, operation, correlationId, flags, status);
  writer.raw(encodeMessagePack(body));
  endFrame(writer, start);
}

export function readControlResponse(frame: Frame): MessagePackMap {
  return decodeMessagePackMap(frame.bytes, responseBody(frame), frame.end);
}

/** A field that must be text of at most `lengthMax` UTF-16 units. */
export function textField(map: MessagePackMap, name: string, lengthMax: number): string {
  const value = map[name];
  if (typeof value === 'string' && value.length <= lengthMax) return value;
  return refuseField(name, value, `a string of at most ${lengthMax} characters`);
}

/** A field that must be an integer in [min, max]. */
export function integerField(map: MessagePackMap, name: string, min: number, max: number): number {
  const value = map[name];
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  return refuseField(name, value, `an integer from ${min} to ${max}`);
}

/** A field that must be an array of at most `countMax`. */
export function arrayField(map: MessagePackMap, name: string, countMax: number): unknown[] {
  const value = map[name];
  if (Array.isArray(value) && value.length <= countMax) return value;
  return refuseField(name, value, `an array of at most ${countMax}`);
}

/** A field that must be a binary of exactly `length` bytes. */
export function binaryField(map: MessagePackMap, name: string, length: number): Uint8Array {
  const value = map[name];
  if (value instanceof Uint8Array && value.length === length) return value;
  return refuseField(name, value, `binary of ${length} bytes`);
}

/** An array's item, or a field, that must be a map. */
export function asMap(value: unknown, name: string): MessagePackMap {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)) {
    return value as MessagePackMap;
  }
  return refuseField(name, value, 'a map');
}

export function refuseField(name: string, value: unknown, allowed: string): never {
  throw new ProtocolError(
    'MALFORMED_REQUEST',
    `field "${name}" holds ${describeValue(value)}; allowed: ${allowed}`,
  );
}
