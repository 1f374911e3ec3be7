/** GET_GROUP carries a name and answers a schema. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeGetGroupRequest,
  decodeGetGroupResponse,
  encodeGetGroupRequest,
  encodeGetGroupResponse,
} from '../../../protocol/index.ts';
import { frameOf, refusal } from '../frames.ts';
import { OPTIONS } from '../sample-messages.ts';
import { ROUTE } from '../sample-schemas.ts';

test('name and schema survive', () => {
  assert.equal(decodeGetGroupRequest(frameOf((w) => encodeGetGroupRequest(w, OPTIONS, 'Zürich'))), 'Zürich');
  assert.deepEqual(decodeGetGroupResponse(frameOf((w) => encodeGetGroupResponse(w, 1, ROUTE))), ROUTE);
});

test('a name that no group can have is refused', () => {
  assert.throws(
    () => decodeGetGroupRequest(frameOf((w) => encodeGetGroupRequest(w, OPTIONS, ''))),
    refusal('SCHEMA_INVALID', /group name/),
  );
});
