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
  appendControlRequest,
  appendControlResponse,
  readControlRequest,
  readControlResponse,
} from './control.ts';

export function encodeDropGroupRequest(writer: ByteWriter, options: RequestOptions, name: string): void {
  appendControlRequest(writer, OPERATIONS.DROP_GROUP, options, { name });
}

/** The group's name. */
export function decodeDropGroupRequest(frame: Frame): string {
  return validateGroupName(readControlRequest(frame)['name']);
}

export function encodeDropGroupResponse(writer: ByteWriter, correlationId: number): void {
  appendControlResponse(writer, OPERATIONS.DROP_GROUP, correlationId, {});
}

export function decodeDropGroupResponse(frame: Frame): void {
  readControlResponse(frame);
}
