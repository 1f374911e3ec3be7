/** DROP_GROUP carries a name and answers nothing. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeDropGroupRequest,
  decodeDropGroupResponse,
  encodeDropGroupRequest,
  encodeDropGroupResponse,
} from '../../../protocol/index.ts';
import { frameOf, refusal } from '../frames.ts';
import { OPTIONS } from '../sample-messages.ts';

test('a name survives, the answer is empty', () => {
  assert.equal(decodeDropGroupRequest(frameOf((w) => encodeDropGroupRequest(w, OPTIONS, 'g'))), 'g');
  decodeDropGroupResponse(frameOf((w) => encodeDropGroupResponse(w, 1)));
});

test('a name that no group can have is refused', () => {
  assert.throws(
    () => decodeDropGroupRequest(frameOf((w) => encodeDropGroupRequest(w, OPTIONS, 'a\n'))),
    refusal('SCHEMA_INVALID'),
  );
});
