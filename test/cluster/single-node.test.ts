/** Ownership of a node that is alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  FIRST_EPOCH,
  type PartitionOwnership,
  SingleNodeOwnership,
  singleNodeMap,
} from '../../cluster/index.ts';
import { PARTITION_COUNT } from '../../protocol/index.ts';

const NODE = { id: 'n', host: '', shards: [{ port: 1, scanPort: 2 }] };

test('a lone node owns every partition under the first epoch', () => {
  const map = singleNodeMap(NODE);
  const ownership: PartitionOwnership = new SingleNodeOwnership(map);
  assert.equal(ownership.map(), map);
  assert.equal(ownership.epoch, FIRST_EPOCH);
  for (let partition = 0; partition < PARTITION_COUNT; partition++) {
    assert.ok(ownership.isOwnedHere(partition));
    assert.equal(ownership.ownerOf(partition), 0);
  }
});

test('listeners may come and go', () => {
  const ownership = new SingleNodeOwnership(singleNodeMap(NODE));
  for (let round = 0; round < 1000; round++) ownership.onChange(() => assert.fail('the map never changes'))();
});

test('a map of two nodes is not a lone node', () => {
  const map = singleNodeMap(NODE);
  assert.throws(() => new SingleNodeOwnership({ ...map, nodes: [NODE, NODE] }), { name: 'AssertionError' });
});
