/**
 * GET_GROUP: one group's schema by name.
 *
 *   request {name}   response {group}
 */

import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import type { RequestOptions } from '../frame-header.ts';
import { OPERATIONS } from '../operation.ts';
import type { GroupSchema } from '../schema.ts';
import { validateGroupName, validateSchema } from '../schema-validation.ts';
import {
  appendControlRequest,
  appendControlResponse,
  readControlRequest,
  readControlResponse,
} from './control.ts';

export function encodeGetGroupRequest(writer: ByteWriter, options: RequestOptions, name: string): void {
  appendControlRequest(writer, OPERATIONS.GET_GROUP, options, { name });
}

/** The group's name. */
export function decodeGetGroupRequest(frame: Frame): string {
  return validateGroupName(readControlRequest(frame)['name']);
}

export function encodeGetGroupResponse(writer: ByteWriter, correlationId: number, group: GroupSchema): void {
  appendControlResponse(writer, OPERATIONS.GET_GROUP, correlationId, { group });
}

export function decodeGetGroupResponse(frame: Frame): GroupSchema {
  return validateSchema(readControlResponse(frame)['group']);
}
