/** What a start finds on disk: unfinished flushes are forgotten, damage is named, foreign data is refused. */
import { strict as assert } from 'node:assert';
import { renameSync } from 'node:fs';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { nodeDisk } from '../../server/node-environment.ts';
import {
  COMPACTION_STATE_KEY_HI,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
} from '../../storage/block-key.ts';
import { type BlockStore, openBlockStore } from '../../storage/block-store.ts';
import { COMPACTION_STATE_EMPTY, encodeCompactionState } from '../../storage/compaction-state.ts';
import { type RecoveryProgress, removeIndexCheckpoint } from '../../storage/index.ts';
import { encodeDirectory } from '../../storage/level-zero-directory.ts';
import { SnapshotReader } from '../../storage/snapshot.ts';
import { VersionMerge } from '../../storage/version-merge.ts';
import { keyBatchOf, TestShard, temporaryDirectory } from '../support/shard.ts';

describe('recovery', () => {
  let directory: ReturnType<typeof temporaryDirectory>;

  beforeEach(async () => {
    directory = temporaryDirectory();
    const shard = await new TestShard(directory.path).open();
    await shard.put(
      1,
      Array.from({ length: 300 }, (_value, i) => ({ key: `key-${i}`, value: `value-${i}` })),
    );
    await shard.store.close();
  });

  afterEach(() => directory.remove());

  async function withBlocks(change: (blocks: BlockStore) => Promise<void>): Promise<void> {
    const blocks = openBlockStore({ directory: `${directory.path}/blocks` });
    await change(blocks);
    await blocks.close();
    removeIndexCheckpoint(nodeDisk, directory.path);
  }

  function blockKeys(blocks: BlockStore): number[] {
    const sequences: number[] = [];
    blocks.scan(LEVEL_ZERO_KEY_HI, 0, LEVEL_ZERO_KEY_HI + 1, 0, (_keyHi, keyLo) => {
      sequences.push(keyLo);
      return undefined;
    });
    return sequences;
  }

  test('blocks of a flush that did not finish are removed and not read', async () => {
    let finished: number[] = [];
    await withBlocks(async (blocks) => {
      finished = blockKeys(blocks);
      const next = (finished.at(-1) as number) + 1;
      const bytes = Uint8Array.from(blocks.read(LEVEL_ZERO_KEY_HI, 1) as Uint8Array);
      const built = {
        bytes,
        group: 1,
        partitionMin: 0,
        partitionMax: 4095,
        recordCount: 1,
        usedBytes: 128,
        pages: 1,
      };
      await blocks.write([
        { keyHi: LEVEL_ZERO_KEY_HI, keyLo: next, bytes },
        { keyHi: LEVEL_ZERO_DIRECTORY_KEY_HI, keyLo: 9, bytes: encodeDirectory(2, 2, next, [built]) },
      ]);
    });
    const shard = await new TestShard(directory.path).open();
    assert.equal(shard.store.status().versions, 300);
    await shard.store.close();
    await withBlocks(async (blocks) => {
      assert.deepEqual(blockKeys(blocks), finished);
    });
  });

  test('what a sweep has consumed is not read, neither by lookups nor by scans', async () => {
    const keys = Array.from({ length: 300 }, (_value, i) => `key-${i}`);
    await withBlocks(async (blocks) => {
      const state = {
        ...COMPACTION_STATE_EMPTY,
        sweepNumber: 1,
        sourceEnd: 1000,
        cursorGroup: 1,
        cursorPartition: 2048,
      };
      await blocks.write([{ keyHi: COMPACTION_STATE_KEY_HI, keyLo: 1, bytes: encodeCompactionState(state) }]);
    });
    const shard = await new TestShard(directory.path).open();
    const partitions = Array.from(keyBatchOf(keys).digests.filter((_word, at) => at % 2 === 0)).map(
      (digestLo) => digestLo & 4095,
    );
    assert.ok(partitions.some((partition) => partition < 2048));
    assert.deepEqual(
      shard.get(1, keys).map((value) => value !== null),
      partitions.map((partition) => partition >= 2048),
    );
    const merge = new VersionMerge();
    const blocks = openBlockStore({ directory: `${directory.path}/blocks`, readOnly: true });
    const all = Uint16Array.from({ length: 256 }, (_value, i) => 2048 - 128 + i);
    const step = new SnapshotReader(blocks, 1).open(1, 1, all, new Uint8Array(0), merge);
    while (step?.advance() === false);
    merge.finish(all.length, 0);
    assert.equal(
      merge.count,
      partitions.filter((partition) => partition >= 2048 && partition < 2048 + 128).length,
    );
    await shard.store.close();
  });

  test('counters and clocks go on above those recorded', async () => {
    await withBlocks(async (blocks) => {
      const state = { ...COMPACTION_STATE_EMPTY, nextSequence: 5000, nextDirectory: 600, nextCounter: 70 };
      await blocks.write([{ keyHi: COMPACTION_STATE_KEY_HI, keyLo: 1, bytes: encodeCompactionState(state) }]);
    });
    const shard = await new TestShard(directory.path).open();
    await shard.put(1, [{ key: 'key-1', value: 'again' }]);
    await shard.store.close();
    await withBlocks((blocks) => {
      assert.equal(blockKeys(blocks).at(-1), 5000);
      assert.ok(blocks.read(LEVEL_ZERO_DIRECTORY_KEY_HI, 600) !== undefined);
      return Promise.resolve();
    });
  });

  async function flipBit(keyHi: number, keyLo: number): Promise<void> {
    await withBlocks(async (blocks) => {
      const bytes = Uint8Array.from(blocks.read(keyHi, keyLo) as Uint8Array);
      bytes[100] = (bytes[100] as number) ^ 4;
      await blocks.write([{ keyHi, keyLo, bytes }]);
    });
  }

  test('what a damaged block held is refused by name, and the rest is served', async () => {
    await flipBit(LEVEL_ZERO_KEY_HI, 2);
    const shard = await new TestShard(directory.path).open();
    const [block] = shard.damage;
    assert.ok(shard.damage.length === 1 && block !== undefined);
    assert.equal(block.keyLo, 2);
    const status = shard.store.status();
    assert.equal(status.damagedBlocks, 1);
    assert.equal(status.damagedUnits, block.partitionMax - block.partitionMin + 1);
    let served = 0;
    for (let i = 0; i < 300; i += 1) {
      const partition = (keyBatchOf([`key-${i}`]).digests[0] as number) & 4095;
      if (partition < block.partitionMin || partition > block.partitionMax) {
        assert.deepEqual(shard.get(1, [`key-${i}`]), [`value-${i}`]);
        await shard.put(1, [{ key: `key-${i}`, value: 'new' }]);
        served += 1;
        continue;
      }
      const refusal = {
        code: 'BLOCK_CORRUPT',
        message: new RegExp(`group 1, partition ${partition} .*level-0 block 2`),
      };
      assert.throws(() => shard.get(1, [`key-${i}`]), refusal);
      await assert.rejects(async () => shard.put(1, [{ key: `key-${i}`, value: 'new' }]), refusal);
      assert.throws(() => shard.store.bufferedVersions(1, Uint16Array.of(partition)), refusal);
    }
    assert.ok(served > 200 && served < 300);
    await shard.store.close();
  });

  test('a block found damaged when it is read is noted, once', async () => {
    const shard = await new TestShard(directory.path).open();
    await shard.store.close();
    await withBlocks(async (blocks) => {
      const bytes = Uint8Array.from(blocks.read(LEVEL_ZERO_KEY_HI, 2) as Uint8Array);
      bytes[100] = (bytes[100] as number) ^ 4;
      await blocks.write([{ keyHi: LEVEL_ZERO_KEY_HI, keyLo: 2, bytes }]);
      renameSync(`${directory.path}/index`, `${directory.path}/kept`);
    });
    renameSync(`${directory.path}/kept`, `${directory.path}/index`);
    const again = await new TestShard(directory.path, { verifies: false }).open();
    assert.deepEqual(again.damage, []);
    let refused = 0;
    for (let round = 0; round < 2; round += 1) {
      for (let i = 0; i < 300; i += 1) {
        try {
          again.get(1, [`key-${i}`]);
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'BLOCK_CORRUPT');
          refused += 1;
        }
      }
    }
    assert.ok(refused > 0 && refused < 200, String(refused));
    assert.equal(again.damage.length, 1);
    await again.store.close();
  });

  test('another shard’s directory is refused', async () => {
    await assert.rejects(new TestShard(directory.path, { shardIndex: 1, shardCount: 2 }).open(), {
      code: 'DATA_DIRECTORY_INVALID',
    });
  });

  test('progress is told while blocks are read', async () => {
    const told: RecoveryProgress[] = [];
    const shard = await new TestShard(directory.path, {
      onProgress: (progress) => told.push(progress),
    }).open();
    await shard.store.close();
    const last = told.filter((progress) => progress.phase === 'blocks').at(-1);
    assert.ok(last !== undefined && last.doneBytes > 0 && last.totalBytes >= last.doneBytes);
  });
});
