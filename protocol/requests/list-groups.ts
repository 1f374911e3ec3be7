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
  appendControlRequest,
  appendControlResponse,
  arrayField,
  readControlRequest,
  readControlResponse,
} from './control.ts';

export function encodeListGroupsRequest(writer: ByteWriter, options: RequestOptions): void {
  appendControlRequest(writer, OPERATIONS.LIST_GROUPS, options, {});
}

export function decodeListGroupsRequest(frame: Frame): void {
  readControlRequest(frame);
}

export function encodeListGroupsResponse(
  writer: ByteWriter,
  correlationId: number,
  groups: readonly GroupSchema[],
): void {
  appendControlResponse(writer, OPERATIONS.LIST_GROUPS, correlationId, { groups });
}

export function decodeListGroupsResponse(frame: Frame): GroupSchema[] {
  return arrayField(readControlResponse(frame), 'groups', GROUPS_MAX).map(validateSchema);
}
