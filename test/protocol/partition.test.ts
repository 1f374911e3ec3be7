/** A digest's low 12 bits name its partition. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PARTITION_COUNT, partitionOf } from '../../protocol/index.ts';

test('a partition is the low 12 bits of the digest', () => {
  assert.equal(PARTITION_COUNT, 4096);
  assert.equal(partitionOf(0), 0);
  assert.equal(partitionOf(0xffff_f123), 0x123);
  assert.equal(partitionOf(0xffff_ffff), 4095);
  assert.equal(partitionOf(-1), 4095);
});
