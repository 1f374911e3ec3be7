/** Error codes are a closed set of stable numbers. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_CODES, type ErrorCodeName, errorName, errorNumber } from '../../protocol/index.ts';

const NAMES = Object.keys(ERROR_CODES) as ErrorCodeName[];

test('numbers never move', () => {
  const listed = NAMES.map((name) => `${errorNumber(name)} ${name}`).join('\n');
  assert.equal(
    listed,
    `0 OK
1 MALFORMED_FRAME
2 FRAME_TOO_LARGE
3 UNSUPPORTED_VERSION
4 UNKNOWN_OPERATION
5 HANDSHAKE_REQUIRED
6 MALFORMED_REQUEST
7 BATCH_EMPTY
8 BATCH_TOO_LARGE
9 CANCELLED
16 GROUP_NOT_FOUND
17 GROUP_EXISTS
18 SCHEMA_INVALID
19 SCHEMA_VERSION_UNKNOWN
20 FEATURE_NOT_FOUND
21 TYPE_MISMATCH
22 KEY_INVALID
23 KEY_TOO_LARGE
24 ROW_INVALID
25 ROW_TOO_LARGE
26 EVENT_TIME_INVALID
27 EVENT_TIME_IN_FUTURE
28 TOO_LATE
29 LIMIT_EXCEEDED
30 VERSION_MISMATCH
31 LATE_PATCH
32 NOT_OWNER
33 DEADLINE_EXCEEDED
34 OVERLOADED
35 SHUTTING_DOWN
36 STORAGE_FULL
37 MEMORY_FULL
38 BLOCK_CORRUPT
48 PATCH_INVALID
49 IDEMPOTENCY_EXPIRED
50 HISTORY_EXPIRED
51 READ_POINT_INVALID
63 INTERNAL
64 CONNECTION_LOST
65 TIMEOUT
66 CLIENT_CLOSED
67 CONNECT_FAILED
80 PORT_IN_USE
81 DATA_DIRECTORY_LOCKED
82 DATA_DIRECTORY_NEWER
83 SHARD_COUNT_MISMATCH
84 CONFIG_INVALID
85 JOURNAL_CORRUPT
86 DATA_DIRECTORY_INVALID
96 FILE_UNREADABLE
97 FILE_FORMAT_INVALID
98 USAGE
99 BACKUP_INVALID`,
  );
});

test('names and numbers lead to each other', () => {
  for (const name of NAMES) assert.equal(errorName(errorNumber(name)), name);
});

test('a number this build does not know reads as INTERNAL, which is indeterminate', () => {
  assert.equal(errorName(40_000), 'INTERNAL');
  assert.ok(ERROR_CODES.INTERNAL.indeterminate);
});

test('what may be retried and what may have been applied is said of each code', () => {
  const retryable = NAMES.filter((name) => ERROR_CODES[name].retryable);
  const indeterminate = NAMES.filter((name) => ERROR_CODES[name].indeterminate);
  assert.deepEqual(retryable, [
    'NOT_OWNER',
    'OVERLOADED',
    'SHUTTING_DOWN',
    'CONNECTION_LOST',
    'CONNECT_FAILED',
  ]);
  assert.deepEqual(indeterminate, ['DEADLINE_EXCEEDED', 'INTERNAL', 'CONNECTION_LOST', 'TIMEOUT']);
});
