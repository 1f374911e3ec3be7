/** The client's map: which shard owns a partition, and where it is dialled. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ShardMap } from '../../client/shard-map.ts';
import { PARTITION_COUNT } from '../../protocol/index.ts';

test('a partition is on shard p % S of the node that owns it', () => {
  const owners = Uint16Array.from({ length: PARTITION_COUNT }, (_, p) => (p < 100 ? 0 : 1));
  const map = new ShardMap(
    {
      epoch: 5,
      partitionCount: PARTITION_COUNT,
      nodes: [
        { id: 'a', host: 'host-a', shards: [{ port: 1, scanPort: 11 }] },
        {
          id: 'b',
          host: '',
          shards: [
            { port: 2, scanPort: 12 },
            { port: 3, scanPort: 13 },
            { port: 4, scanPort: 14 },
          ],
        },
      ],
      owners,
    },
    'dialled',
  );
  assert.equal(map.epoch, 5);
  for (let partition = 0; partition < PARTITION_COUNT; partition++) {
    const shard = map.shards[map.shardOfPartition[partition]!]!;
    assert.equal(shard.nodeId, partition < 100 ? 'a' : 'b');
    assert.equal(shard.index, partition < 100 ? 0 : partition % 3);
  }
  assert.deepEqual(
    map.shards.map(({ host, port, scanPort }) => [host, port, scanPort]),
    [
      ['host-a', 1, 11],
      ['dialled', 2, 12],
      ['dialled', 3, 13],
      ['dialled', 4, 14],
    ],
  );
});
