/** LIST_GROUPS answers any number of schemas. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeListGroupsRequest,
  decodeListGroupsResponse,
  encodeListGroupsRequest,
  encodeListGroupsResponse,
} from '../../../protocol/index.ts';
import { frameOf, refusal } from '../frames.ts';
import { OPTIONS } from '../sample-messages.ts';
import { EVERY_TYPE, ROUTE, schemaOf } from '../sample-schemas.ts';

test('schemas survive, none among them', () => {
  decodeListGroupsRequest(frameOf((w) => encodeListGroupsRequest(w, OPTIONS)));
  for (const groups of [[], [ROUTE], [ROUTE, schemaOf(EVERY_TYPE)]]) {
    assert.deepEqual(
      decodeListGroupsResponse(frameOf((w) => encodeListGroupsResponse(w, 1, groups))),
      groups,
    );
  }
});

test('a list with a broken schema is refused', () => {
  const frame = frameOf((w) => encodeListGroupsResponse(w, 1, [{ ...ROUTE, id: 0 }]));
  assert.throws(() => decodeListGroupsResponse(frame), refusal('SCHEMA_INVALID', /^id/));
});
