/** Fields of control messages are checked by type and bound, and named when refused. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPERATIONS } from '../../../protocol/index.ts';
import {
  appendControlRequest,
  appendControlResponse,
  arrayField,
  asMap,
  binaryField,
  integerField,
  readControlRequest,
  readControlResponse,
  textField,
} from '../../../protocol/requests/control.ts';
import { cutTo, frameOf, refusal } from '../frames.ts';
import { OPTIONS } from '../sample-messages.ts';

const MAP = { text: 'abc', number: 5, items: [1, 2], bin: Uint8Array.of(1, 2), map: { a: 1 } };

test('a map survives in both directions', () => {
  const request = frameOf((w) => appendControlRequest(w, OPERATIONS.MAP, OPTIONS, { a: [1, 'x'] }));
  const response = frameOf((w) => appendControlResponse(w, OPERATIONS.MAP, 7, { a: [1, 'x'] }));
  assert.deepEqual(readControlRequest(request), { a: [1, 'x'] });
  assert.deepEqual(readControlResponse(response), { a: [1, 'x'] });
  for (let length = 40; length < request.end - request.offset; length++) {
    assert.throws(() => readControlRequest(cutTo(request, length)), refusal('MALFORMED_REQUEST'));
  }
});

test('fields are given when they are as they should be', () => {
  assert.equal(textField(MAP, 'text', 3), 'abc');
  assert.equal(integerField(MAP, 'number', 5, 5), 5);
  assert.deepEqual(arrayField(MAP, 'items', 2), [1, 2]);
  assert.deepEqual(binaryField(MAP, 'bin', 2), MAP.bin);
  assert.equal(asMap(MAP.map, 'map'), MAP.map);
});

test('fields are refused when they are not', () => {
  const refuses = (read: () => unknown, name: string): void => {
    assert.throws(read, refusal('MALFORMED_REQUEST', new RegExp(`field "${name}" holds .*; allowed: `)));
  };
  refuses(() => textField(MAP, 'text', 2), 'text');
  refuses(() => textField(MAP, 'none', 2), 'none');
  refuses(() => integerField(MAP, 'number', 6, 9), 'number');
  refuses(() => integerField({ number: 5.5 }, 'number', 0, 9), 'number');
  refuses(() => integerField(MAP, 'text', 0, 9), 'text');
  refuses(() => arrayField(MAP, 'items', 1), 'items');
  refuses(() => arrayField(MAP, 'map', 9), 'map');
  refuses(() => binaryField(MAP, 'bin', 3), 'bin');
  for (const value of [null, undefined, 5, 'x', [], new Uint8Array(1)])
    refuses(() => asMap(value, 'map'), 'map');
});
