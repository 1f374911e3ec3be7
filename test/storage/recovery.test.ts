/** What a start finds on disk: unfinished flushes are forgotten, damage is named, foreign data is refused. */
import { strict as assert } from 'node:assert';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { LEVEL_ZERO_KEY_HI } from '../../storage/block-key.ts';
import { type BlockStore, openBlockStore } from '../../storage/block-store.ts';
import type { RecoveryProgress } from '../../storage/index.ts';
import { TestShard, temporaryDirectory } from '../support/shard.ts';

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
      await blocks.write([{ keyHi: LEVEL_ZERO_KEY_HI, keyLo: next, bytes }]);
    });
    const shard = await new TestShard(directory.path).open();
    assert.equal(shard.store.status().versions, 300);
    await shard.store.close();
    await withBlocks(async (blocks) => {
      assert.deepEqual(blockKeys(blocks), finished);
    });
  });

  test('a block with a flipped bit stops the start and is named', async () => {
    await withBlocks(async (blocks) => {
      const bytes = Uint8Array.from(blocks.read(LEVEL_ZERO_KEY_HI, 2) as Uint8Array);
      bytes[100] = (bytes[100] as number) ^ 4;
      await blocks.write([{ keyHi: LEVEL_ZERO_KEY_HI, keyLo: 2, bytes }]);
    });
    await assert.rejects(new TestShard(directory.path).open(), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'BLOCK_CORRUPT');
      assert.match(error.message, /counter 2/);
      return true;
    });
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
