/**
 * DROP_GROUP: removes a group. Its rows are invisible at once, its id is never used again.
 *
 *   request {name}   response {}
 */

import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import type { RequestOptions } from '../frame-header.ts';
import { OPERATIONS } from '../operation.ts';
import { validateGroupName } from '../schema-validation.ts';
import {
  decodeControlRequest,
  decodeControlResponse,
  encodeControlRequest,
  encodeControlResponse,
} from './control.ts';

export function encodeDropGroupRequest(writer: ByteWriter, options: RequestOptions, name: string): void {
  encodeControlRequest(writer, OPERATIONS.DROP_GROUP, options, { name });
}

/** The group's name. */
export function decodeDropGroupRequest(frame: Frame): string {
  return validateGroupName(decodeControlRequest(frame)['name']);
}

export function encodeDropGroupResponse(writer: ByteWriter, correlationId: number): void {
  encodeControlResponse(writer, OPERATIONS.DROP_GROUP, correlationId, {});
}

export function decodeDropGroupResponse(frame: Frame): void {
  decodeControlResponse(frame);
}
