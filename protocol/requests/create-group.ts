/**
 * CREATE_GROUP: makes a feature group.
 *
 *   request   {name, key: [{name, type}], features: [{name, type, length?, item?, default?}], eventTimeName?,
 *              ttlSeconds?, retentionSeconds?, latenessSeconds?, durability?, ifNotExists?}
 *   response  {group}
 *
 * With ifNotExists the group that is there is answered, when its key, features and settings are those asked for; else
 * GROUP_EXISTS. When the answer comes, every shard of the node knows the group.
 */

import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import type { RequestOptions } from '../frame-header.ts';
import { OPERATIONS } from '../operation.ts';
import type { GroupSchema, GroupSpec } from '../schema.ts';
import { validateGroupSpec, validateSchema } from '../schema-validation.ts';
import {
  appendControlRequest,
  appendControlResponse,
  readControlRequest,
  readControlResponse,
  refuseField,
} from './control.ts';

export interface CreateGroupRequest {
  spec: GroupSpec;
  ifNotExists: boolean;
}

export function encodeCreateGroupRequest(
  writer: ByteWriter,
  options: RequestOptions,
  request: CreateGroupRequest,
): void {
  const spec = validateGroupSpec(request.spec);
  const body = request.ifNotExists ? { ...spec, ifNotExists: true } : spec;
  appendControlRequest(writer, OPERATIONS.CREATE_GROUP, options, body);
}

export function decodeCreateGroupRequest(frame: Frame): CreateGroupRequest {
  const map = readControlRequest(frame);
  const ifNotExists = map['ifNotExists'] ?? false;
  if (typeof ifNotExists !== 'boolean') return refuseField('ifNotExists', ifNotExists, 'true or false');
  return { spec: validateGroupSpec(map), ifNotExists };
}

export function encodeCreateGroupResponse(
  writer: ByteWriter,
  correlationId: number,
  group: GroupSchema,
): void {
  appendControlResponse(writer, OPERATIONS.CREATE_GROUP, correlationId, { group });
}

export function decodeCreateGroupResponse(frame: Frame): GroupSchema {
  return validateSchema(readControlResponse(frame)['group']);
}
