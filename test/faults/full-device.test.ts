/**
 * A device that is really full, and a full map: writes are refused with STORAGE_FULL before anything breaks, reads go on, the
 * process lives, writes resume by themselves when there is room, and nothing acknowledged is lost.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { nodeDisk } from '../../server/node-environment.ts';
import type { ShardStoreOptions } from '../../storage/index.ts';
import { TestShard, temporaryDirectory } from '../support/shard.ts';
import { smallDevice } from '../support/small-device.ts';

const MIB = 1024 * 1024;
const GROUP = 1;
const SMALL: Partial<ShardStoreOptions> = { writeBufferBytes: 4 * MIB, journalSegmentBytes: MIB };
/** Of `SMALL`: 64 MiB would not hold its reserve. */
const DEVICE_BYTES = 160 * MIB;
const FILLER = 'x'.repeat(3000);

/** Takes all that the device still has. */
function fillUp(directory: string): () => void {
  const path = join(directory, 'somebody-elses-file');
  const file = openSync(path, 'w');
  for (let bytes = MIB; bytes >= 4096; ) {
    try {
      writeSync(file, Buffer.alloc(bytes, 1));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
      bytes /= 2;
    }
  }
  closeSync(file);
  return () => rmSync(path);
}

/** Rows that were acknowledged, by key. */
class Load {
  readonly acknowledged: Map<string, string> = new Map();
  private next = 0;

  /** Writes until it is refused, at most `count` batches; answers whether it was. */
  async write(shard: TestShard, count: number): Promise<boolean> {
    for (let batch = 0; batch < count; batch++) {
      const rows = Array.from({ length: 50 }, () => {
        const key = `k${this.next++ % 5000}`;
        return { key, value: `${this.next}${FILLER}` };
      });
      try {
        await shard.put(GROUP, rows);
      } catch (error) {
        const { code } = error as { code?: unknown };
        if (code === 'OVERLOADED') {
          // Held back, not refused: that is no batch.
          batch -= 1;
          await new Promise((resolve) => setTimeout(resolve, 20));
          continue;
        }
        assert.equal(code, 'STORAGE_FULL');
        return true;
      }
      for (const { key, value } of rows) this.acknowledged.set(key, value);
    }
    return false;
  }

  check(shard: TestShard): void {
    const keys = [...this.acknowledged.keys()];
    assert.ok(keys.length > 0);
    assert.deepEqual(shard.get(GROUP, keys), [...this.acknowledged.values()]);
  }
}

async function reopened(directory: string, options: Partial<ShardStoreOptions>): Promise<TestShard> {
  return new TestShard(directory, options).open();
}

/** The clock of these tests moves on, or a refusal would stand for ever. */
function moving(shard: TestShard): TestShard {
  const startedMs = Date.now();
  const base = shard.nowMicros;
  Object.defineProperty(shard, 'nowMicros', { get: () => base + (Date.now() - startedMs) * 1000 });
  return shard;
}

/** Nothing is being committed: a commit under way when somebody takes the last room fails, and ends the shard, as it must. */
async function settled(shard: TestShard): Promise<void> {
  await shard.store.flush();
  await shard.store.compact();
}

async function untilTaken(load: Load, shard: TestShard): Promise<void> {
  while (await load.write(shard, 1)) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function fills(
  context: TestContext,
  directory: string,
  options: Partial<ShardStoreOptions>,
): Promise<void> {
  const shard = moving(await reopened(directory, options));
  const load = new Load();
  assert.ok(await load.write(shard, 100_000), 'the device is smaller than that');
  load.check(shard);
  await shard.store.flush();
  load.check(shard);
  assert.deepEqual(shard.fatal, [], 'the reserve was enough for the flush');
  await shard.store.close();
  const again = moving(await reopened(directory, options));
  load.check(again);
  await again.store.close();
  context.diagnostic(`${load.acknowledged.size} keys`);
}

test('a device filled by our own writes refuses them and keeps everything', async (context) => {
  await fills(context, smallDevice(context, DEVICE_BYTES), SMALL);
});

test('a map filled by our own writes refuses them and keeps everything', async (context) => {
  const directory = temporaryDirectory();
  context.after(directory.remove);
  await fills(context, directory.path, { ...SMALL, mapBytes: 100 * MIB });
});

test('a device filled by somebody else: flushes wait, reads go on, and writes when it has room again', async (context) => {
  const directory = smallDevice(context, DEVICE_BYTES);
  const shard = moving(await reopened(directory, SMALL));
  const load = new Load();
  assert.ok(!(await load.write(shard, 20)));
  await settled(shard);
  assert.ok(!(await load.write(shard, 2)));
  const makeRoom = fillUp(directory);
  assert.equal(nodeDisk.freeBytes(directory), 0);
  assert.ok(await load.write(shard, 100));
  load.check(shard);
  const flushed = shard.store.flush();
  await new Promise((resolve) => setTimeout(resolve, 300));
  load.check(shard);
  assert.deepEqual(shard.fatal, []);
  makeRoom();
  await flushed;
  await untilTaken(load, shard);
  load.check(shard);
  await shard.store.close();
  const again = await reopened(directory, SMALL);
  load.check(again);
  await again.store.close();
});

test('a shard on a full device closes, and its journal has what blocks had no room for', async (context) => {
  const directory = smallDevice(context, DEVICE_BYTES);
  const shard = moving(await reopened(directory, SMALL));
  const load = new Load();
  await load.write(shard, 10);
  await settled(shard);
  assert.ok(!(await load.write(shard, 2)));
  const makeRoom = fillUp(directory);
  await shard.store.close();
  assert.deepEqual(shard.fatal, []);
  makeRoom();
  const again = await reopened(directory, SMALL);
  load.check(again);
  await again.store.close();
});
