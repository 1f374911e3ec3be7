/** ALTER_GROUP is validated where it is made and where it arrives. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  changeSchema,
  decodeAlterGroupRequest,
  decodeAlterGroupResponse,
  encodeAlterGroupRequest,
  encodeAlterGroupResponse,
  OPERATIONS,
} from '../../../protocol/index.ts';
import { appendControlRequest } from '../../../protocol/requests/control.ts';
import { frameOf, refusal } from '../frames.ts';
import { OPTIONS } from '../sample-messages.ts';
import { EVERY_TYPE, schemaOf } from '../sample-schemas.ts';

test('a change survives, and so does its answer', () => {
  const change = { add: EVERY_TYPE, drop: ['x'], ttlSeconds: 1, retentionSeconds: 2, latenessSeconds: 3 };
  const frame = frameOf((w) => encodeAlterGroupRequest(w, OPTIONS, { name: 'g', change }));
  assert.deepEqual(decodeAlterGroupRequest(frame), { name: 'g', change });
  const schema = changeSchema(schemaOf([{ name: 'x', type: 'bool' }]), change, 0);
  assert.deepEqual(decodeAlterGroupResponse(frameOf((w) => encodeAlterGroupResponse(w, 1, schema))), schema);
});

test('a change that is none is refused on both sides', () => {
  const none = refusal('SCHEMA_INVALID', /^change: .*at least one of/);
  assert.throws(() => frameOf((w) => encodeAlterGroupRequest(w, OPTIONS, { name: 'g', change: {} })), none);
  const sent = (body: object) =>
    frameOf((w) => appendControlRequest(w, OPERATIONS.ALTER_GROUP, OPTIONS, body));
  assert.throws(() => decodeAlterGroupRequest(sent({ name: 'g' })), none);
  assert.throws(
    () => decodeAlterGroupRequest(sent({ drop: ['a'] })),
    refusal('SCHEMA_INVALID', /^group name/),
  );
});
