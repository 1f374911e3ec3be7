/** Blocks that a lookup must wait for: fetched once, read directly afterwards, bounded, and ended by closing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlockKey } from '../../storage/block-store.ts';
import { ColdBlocks } from '../../storage/cold-blocks.ts';
import {
  COLD_KEYS_WAITING_MAX,
  COLD_PRESSURE_KEYS,
  LONE_READ_STALL_MICROS,
  LONE_READS_PAUSED,
  READ_SAMPLE_EVERY,
  READS_SLOW_MIN,
} from '../../storage/limits.ts';
import type { StorageError } from '../../storage/storage-error.ts';

/** A device whose every read takes so long on the clock, and whose prefetches end when the test says so. */
class SlowDevice {
  micros = 0;
  readMicros = 100;
  reads = 0;
  readonly prefetches: { keys: readonly BlockKey[]; end: () => void }[] = [];

  read(_keyHi: number, keyLo: number): Uint8Array | undefined {
    this.reads += 1;
    this.micros += this.readMicros;
    return keyLo === 404 ? undefined : Uint8Array.of(keyLo);
  }

  prefetch(keys: readonly BlockKey[]): Promise<void> {
    return new Promise((end) => this.prefetches.push({ keys, end }));
  }
}

interface Rig {
  device: SlowDevice;
  blocks: ColdBlocks;
  isWriting: boolean;
  endTurn: () => void;
}

function coldBlocks(): Rig {
  const device = new SlowDevice();
  const scheduled: (() => void)[] = [];
  const rig: Rig = {
    device,
    blocks: new ColdBlocks({
      store: device,
      timerMicros: () => device.micros,
      schedule: (run) => scheduled.push(run),
      isWriting: () => rig.isWriting,
    }),
    isWriting: false,
    endTurn: () => {
      for (const run of scheduled.splice(0)) run();
    },
  };
  const { blocks } = rig;
  for (let read = 0; read < READS_SLOW_MIN; read++) {
    blocks.begin(true, 1);
    assert.ok(blocks.read(256, 1_000_000 + read));
  }
  assert.ok(blocks.isFetching);
  return rig;
}

function want(blocks: ColdBlocks, keys: readonly number[]): void {
  // More than one, so that none is alone.
  blocks.begin(true, 1 + keys.length);
  // Now and then one is read directly, as a sample.
  const direct = keys.filter((key) => blocks.read(256, key) !== null);
  assert.equal(blocks.wantedCount, keys.length - direct.length);
  assert.ok(direct.length <= 1 + keys.length / READ_SAMPLE_EVERY);
}

test('what was fetched is read directly by every repeat, though nobody cached it', async () => {
  const { device, blocks } = coldBlocks();
  want(blocks, [1, 2, 404]);
  const ended = new Promise<StorageError | null>((resolve) => blocks.fetch(resolve));
  assert.equal(blocks.keysWaiting, 3);
  assert.deepEqual(
    device.prefetches[0]?.keys,
    [1, 2, 404].map((keyLo) => ({ keyHi: 256, keyLo })),
  );
  device.prefetches[0]?.end();
  assert.equal(await ended, null);
  for (let repeat = 0; repeat < 3; repeat++) {
    blocks.begin(true, 3);
    assert.deepEqual(
      [1, 2, 404].map((key) => blocks.read(256, key)?.[0]),
      [1, 2, undefined],
    );
    assert.equal(blocks.wantedCount, 0);
  }
  assert.equal(blocks.keysWaiting, 0);
  assert.equal(blocks.fetched, 3);
});

test('a lookup that may not wait reads everything itself', () => {
  const { blocks } = coldBlocks();
  blocks.begin(false, 300);
  for (let key = 0; key < 300; key++) assert.ok(blocks.read(256, key));
  assert.equal(blocks.wantedCount, 0);
});

test('what a lookup wanted and did not have fetched is forgotten by the next', () => {
  const { device, blocks } = coldBlocks();
  want(blocks, [1, 2]);
  want(blocks, [3]);
  blocks.fetch(() => undefined);
  assert.equal(device.prefetches[0]?.keys.length, 1);
});

test('a flood is bounded: readers are to be held, then refused, and taken again when the device has caught up', async () => {
  const { device, blocks } = coldBlocks();
  const ended: Promise<void>[] = [];
  let key = 0;
  const ask = (count: number): void => {
    want(
      blocks,
      Array.from({ length: count }, () => key++),
    );
    ended.push(new Promise((resolve) => blocks.fetch(() => resolve())));
  };
  while (!blocks.isBusy) ask(50);
  assert.ok(blocks.keysWaiting >= COLD_PRESSURE_KEYS && blocks.keysWaiting < COLD_PRESSURE_KEYS + 50);
  while (blocks.keysWaiting + 50 <= COLD_KEYS_WAITING_MAX) ask(50);
  want(
    blocks,
    Array.from({ length: 100 }, () => key++),
  );
  assert.throws(() => blocks.fetch(() => undefined), { code: 'OVERLOADED' });
  assert.ok(blocks.keysWaiting <= COLD_KEYS_WAITING_MAX);
  for (const prefetch of device.prefetches) prefetch.end();
  await Promise.all(ended);
  assert.equal(blocks.keysWaiting, 0);
  ask(50);
});

/** A lookup of one key in a turn of its own: whether it waited for the device itself. */
function readsAlone({ device, blocks, endTurn }: Rig, key: number): boolean {
  const { reads } = device;
  blocks.begin(true, 1);
  const bytes = blocks.read(256, key);
  endTurn();
  assert.equal(bytes !== null, device.reads > reads);
  return bytes !== null;
}

test('a read that nobody would wait for is made directly', () => {
  const rig = coldBlocks();
  for (let key = 0; key < 300; key++) assert.ok(readsAlone(rig, key));
  assert.ok(rig.blocks.isFetching, 'the device is still slow');
  assert.ok(rig.blocks.alone > 300 - 300 / READ_SAMPLE_EVERY - 1);
});

test('one read of a turn is alone: the next are fetched, and so are those of a lookup of several keys', () => {
  const rig = coldBlocks();
  const { blocks, endTurn } = rig;
  blocks.begin(true, 1);
  assert.ok(blocks.read(256, 1));
  blocks.begin(true, 1);
  assert.equal(blocks.read(256, 2), null);
  endTurn();
  blocks.begin(true, 2);
  assert.equal(blocks.read(256, 3), null);
  assert.equal(blocks.read(256, 4), null);
  blocks.begin(true, 1);
  assert.equal(blocks.read(256, 3), null, 'asked for again one by one, they are to overlap');
  endTurn();
  assert.ok(readsAlone(rig, 3));
});

test('a read is not alone while another waits for the device, or a write for its journal', async () => {
  const rig = coldBlocks();
  const { device, blocks, endTurn } = rig;
  want(blocks, [1]);
  const ended = new Promise((resolve) => blocks.fetch(resolve));
  endTurn();
  assert.equal(readsAlone(rig, 2), false);
  device.prefetches[0]?.end();
  await ended;
  assert.ok(readsAlone(rig, 2));
  rig.isWriting = true;
  assert.equal(readsAlone(rig, 3), false);
  rig.isWriting = false;
  assert.ok(readsAlone(rig, 3));
});

test('a device that stalls stops the shard once, and then for a while only as a sample', () => {
  const rig = coldBlocks();
  rig.device.readMicros = LONE_READ_STALL_MICROS;
  assert.ok(readsAlone(rig, 0));
  rig.device.readMicros = 100;
  let direct = 0;
  for (let key = 1; key <= LONE_READS_PAUSED; key++) if (readsAlone(rig, key)) direct += 1;
  assert.ok(direct <= 1 + LONE_READS_PAUSED / READ_SAMPLE_EVERY);
  for (let key = 0; key < READ_SAMPLE_EVERY; key++) readsAlone(rig, key);
  for (let key = 0; key < 100; key++) assert.ok(readsAlone(rig, key));
});

test('closing ends every wait with an error, and begins none', async () => {
  const { device, blocks } = coldBlocks();
  want(blocks, [1]);
  const ended = new Promise<StorageError | null>((resolve) => blocks.fetch(resolve));
  blocks.close();
  device.prefetches[0]?.end();
  assert.equal((await ended)?.code, 'SHUTTING_DOWN');
  want(blocks, [2]);
  assert.throws(() => blocks.fetch(() => undefined), { code: 'SHUTTING_DOWN' });
  assert.equal(blocks.keysWaiting, 0);
});
