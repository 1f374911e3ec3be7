/**
 * ALTER_GROUP: changes a group's schema while its rows are there.
 *
 *   request   {name, add?: [{name, type, length?, item?, default?}], drop?: [name], ttlSeconds?, retentionSeconds?,
 *              latenessSeconds?}
 *   response  {group}
 *
 * The schema in the answer has a new version, unless nothing changed. When the answer comes, every shard of the node
 * knows it. Rows of older versions may still be written and are read as the new one's.
 */
import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import type { RequestOptions } from '../frame-header.ts';
import { OPERATIONS } from '../operation.ts';
import type { GroupSchema } from '../schema.ts';
import type { GroupChange } from '../schema-change.ts';
import { validateGroupChange, validateGroupName, validateSchema } from '../schema-validation.ts';
import {
  appendControlRequest,
  appendControlResponse,
  readControlRequest,
  readControlResponse,
} from './control.ts';

export interface AlterGroupRequest {
  name: string;
  change: GroupChange;
}

export function encodeAlterGroupRequest(
  writer: ByteWriter,
  options: RequestOptions,
  request: AlterGroupRequest,
): void {
  const body = { name: request.name, ...validateGroupChange(request.change) };
  appendControlRequest(writer, OPERATIONS.ALTER_GROUP, options, body);
}

export function decodeAlterGroupRequest(frame: Frame): AlterGroupRequest {
  const map = readControlRequest(frame);
  return { name: validateGroupName(map['name']), change: validateGroupChange(map) };
}

export function encodeAlterGroupResponse(
  writer: ByteWriter,
  correlationId: number,
  group: GroupSchema,
): void {
  appendControlResponse(writer, OPERATIONS.ALTER_GROUP, correlationId, { group });
}

export function decodeAlterGroupResponse(frame: Frame): GroupSchema {
  return validateSchema(readControlResponse(frame)['group']);
}
