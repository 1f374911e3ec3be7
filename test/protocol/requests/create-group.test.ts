/** CREATE_GROUP is validated where it is made and where it arrives. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeCreateGroupRequest,
  decodeCreateGroupResponse,
  encodeCreateGroupRequest,
  encodeCreateGroupResponse,
  type GroupSpec,
  OPERATIONS,
} from '../../../protocol/index.ts';
import { appendControlRequest } from '../../../protocol/requests/control.ts';
import { frameOf, refusal } from '../frames.ts';
import { OPTIONS } from '../sample-messages.ts';
import { EVERY_TYPE, schemaOf } from '../sample-schemas.ts';

const SPEC: GroupSpec = {
  name: 'g',
  key: [{ name: 'k', type: 'bytes' }],
  features: EVERY_TYPE,
  eventTimeName: 'at',
  ttlSeconds: 5,
  retentionSeconds: 6,
  latenessSeconds: 7,
  durability: 'memory',
};

test('a spec survives', () => {
  for (const ifNotExists of [true, false]) {
    const frame = frameOf((w) => encodeCreateGroupRequest(w, OPTIONS, { spec: SPEC, ifNotExists }));
    assert.deepEqual(decodeCreateGroupRequest(frame), { spec: SPEC, ifNotExists });
  }
});

test('its answer survives', () => {
  const schema = schemaOf(EVERY_TYPE);
  assert.deepEqual(
    decodeCreateGroupResponse(frameOf((w) => encodeCreateGroupResponse(w, 1, schema))),
    schema,
  );
});

test('a bad spec is refused on both sides', () => {
  const bad = { ...SPEC, features: [] };
  assert.throws(
    () => frameOf((w) => encodeCreateGroupRequest(w, OPTIONS, { spec: bad, ifNotExists: false })),
    refusal('SCHEMA_INVALID', /^features/),
  );
  const sent = (body: object) =>
    frameOf((w) => appendControlRequest(w, OPERATIONS.CREATE_GROUP, OPTIONS, body));
  assert.throws(() => decodeCreateGroupRequest(sent(bad)), refusal('SCHEMA_INVALID', /^features/));
  assert.throws(
    () => decodeCreateGroupRequest(sent({ ...SPEC, ifNotExists: 'yes' })),
    refusal('MALFORMED_REQUEST', /"ifNotExists" holds "yes"/),
  );
});
