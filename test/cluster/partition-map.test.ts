/** The partition map: its arithmetic, its way over the wire, and what we must not make ourselves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shardOfPartition, singleNodeMap, verifyPartitionMap } from '../../cluster/index.ts';
import {
  ByteWriter,
  decodeMapResponse,
  encodeMapResponse,
  PARTITION_COUNT,
  type PartitionMap,
} from '../../protocol/index.ts';

const NODE = {
  id: 'n',
  host: '',
  shards: [
    { port: 1, scanPort: 3 },
    { port: 2, scanPort: 4 },
  ],
};

test('every partition has one shard, and shards differ by at most one partition', () => {
  for (const shardCount of [1, 2, 3, 7, 16]) {
    const counts = new Array<number>(shardCount).fill(0);
    for (let partition = 0; partition < PARTITION_COUNT; partition++) {
      counts[shardOfPartition(partition, shardCount)]! += 1;
    }
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `${counts}`);
  }
});

test('the map of a lone node survives the wire', () => {
  const map = singleNodeMap(NODE);
  const writer = new ByteWriter();
  encodeMapResponse(writer, 1, map);
  const bytes = writer.finish();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  assert.deepEqual(decodeMapResponse({ bytes, view, offset: 0, end: bytes.length }), map);
});

test('a map that is not whole is our mistake', () => {
  const map = singleNodeMap(NODE);
  const wrong: Partial<PartitionMap>[] = [
    { epoch: 0 },
    { owners: new Uint16Array(4095) },
    { owners: new Uint16Array(PARTITION_COUNT).fill(1) },
    { nodes: [{ ...NODE, shards: [] }] },
    { nodes: [{ ...NODE, shards: [{ port: 0, scanPort: 1 }] }] },
  ];
  for (const part of wrong) {
    assert.throws(() => verifyPartitionMap({ ...map, ...part }), { name: 'AssertionError' });
  }
});
