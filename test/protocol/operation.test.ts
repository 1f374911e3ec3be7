/** Operation numbers are stable and lead back to their names. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPERATIONS, operationName } from '../../protocol/index.ts';

test('numbers never move', () => {
  assert.deepEqual(OPERATIONS, {
    HELLO: 1,
    MAP: 2,
    STATUS: 3,
    CREATE_GROUP: 4,
    GET_GROUP: 5,
    LIST_GROUPS: 6,
    DROP_GROUP: 7,
    ALTER_GROUP: 8,
    GET: 16,
    GET_MATRIX: 17,
    PUT: 18,
    DELETE: 19,
    PATCH: 20,
    ERASE: 22,
    READ_POINT: 21,
    SCAN: 32,
    SCAN_CREDIT: 33,
    SCAN_CANCEL: 34,
    BACKUP_OPEN: 35,
    BACKUP_KEYS: 36,
    BACKUP_BLOCKS: 37,
    PING: 48,
  });
});

test('a number has the name it came from, an unknown one none', () => {
  for (const [name, number] of Object.entries(OPERATIONS)) assert.equal(operationName(number), name);
  assert.equal(operationName(0), null);
  assert.equal(operationName(255), null);
});
