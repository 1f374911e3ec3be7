/**
 * LIST_GROUPS: every group's schema, by name.
 *
 *   request {}   response {groups: [group, …]}
 */

import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import type { RequestOptions } from '../frame-header.ts';
import { GROUPS_MAX } from '../limits.ts';
import { OPERATIONS } from '../operation.ts';
import type { GroupSchema } from '../schema.ts';
import { validateSchema } from '../schema-validation.ts';
import {
  arrayField,
  decodeControlRequest,
  decodeControlResponse,
  encodeControlRequest,
  encodeControlResponse,
} from './control.ts';

export function encodeListGroupsRequest(writer: ByteWriter, options: RequestOptions): void {
  encodeControlRequest(writer, OPERATIONS.LIST_GROUPS, options, {});
}

export function decodeListGroupsRequest(frame: Frame): void {
  decodeControlRequest(frame);
}

export function encodeListGroupsResponse(
  writer: ByteWriter,
  correlationId: number,
  groups: readonly GroupSchema[],
): void {
  encodeControlResponse(writer, OPERATIONS.LIST_GROUPS, correlationId, { groups });
}

export function decodeListGroupsResponse(frame: Frame): GroupSchema[] {
  return arrayField(decodeControlResponse(frame), 'groups', GROUPS_MAX).map(validateSchema);
}
