/** When writes are refused for want of room, and what goes on meanwhile. A real full device: test/faults/full-device.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpaceGuard, type SpaceGuardOptions, spaceReserveBytes } from '../../storage/space-guard.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';

const MIB = 1024 * 1024;

/** A guard over figures that the test sets. */
class Device {
  free: number = 1000 * MIB;
  fileBytes: number = 10 * MIB;
  reusableBytes = 0;
  mapBytes: number = 2000 * MIB;
  looks = 0;
  nowMicros = 0;
  readonly waits: (() => void)[] = [];
  readonly guard: SpaceGuard;

  constructor(options: Partial<SpaceGuardOptions> = {}) {
    const disk = Object.assign(new SimulatedDisk(), {
      freeBytes: () => {
        this.looks += 1;
        return this.free;
      },
    });
    this.guard = new SpaceGuard({
      disk,
      directory: 'd',
      clock: { nowMicros: () => this.nowMicros },
      reserveBytes: 100 * MIB,
      delay: () => new Promise((resolve) => this.waits.push(resolve)),
      ...options,
    });
  }

  space(): { fileBytes: number; reusableBytes: number; mapBytes: number } {
    return this;
  }

  isAdmitted(bytes = 100): boolean {
    try {
      this.guard.admit(this, bytes);
      return true;
    } catch (error) {
      assert.equal((error as { code?: unknown }).code, 'STORAGE_FULL');
      return false;
    }
  }

  later(): this {
    this.nowMicros += 1_000_000;
    return this;
  }
}

test('writes are refused below the reserve, and taken again when there is room', () => {
  const device = new Device();
  assert.ok(device.isAdmitted());
  device.free = 99 * MIB;
  assert.ok(!device.later().isAdmitted());
  device.free = 101 * MIB;
  assert.ok(device.later().isAdmitted());
});

test('the map is as good a limit as the device', () => {
  const device = new Device();
  device.mapBytes = device.fileBytes + 99 * MIB;
  assert.ok(!device.isAdmitted());
});

test('half of the free pages in the file count as room', () => {
  const device = new Device();
  device.free = 60 * MIB;
  device.reusableBytes = 70 * MIB;
  assert.ok(!device.isAdmitted());
  device.reusableBytes = 90 * MIB;
  assert.ok(device.later().isAdmitted());
});

test('the device is asked once in a while, however many writes come', () => {
  const device = new Device();
  for (let write = 0; write < 1000; write++) device.isAdmitted();
  assert.equal(device.looks, 1);
  device.nowMicros -= 5_000_000;
  device.isAdmitted();
  assert.equal(device.looks, 2, 'also when the clock steps back');
});

test('many bytes within one instant are looked at in between', () => {
  const device = new Device();
  assert.ok(device.isAdmitted());
  device.free = 0;
  let accepted = 0;
  while (device.isAdmitted(MIB)) accepted += MIB;
  assert.ok(accepted <= 4 * MIB);
});

test('a transaction that does not fit waits, and goes on when it does', async () => {
  const device = new Device();
  device.free = 0;
  let isThrough = false;
  const waiting = device.guard.waitForRoom(device, MIB).then(() => {
    isThrough = true;
  });
  device.waits.shift()!();
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(!isThrough);
  device.free = 2 * MIB;
  device.waits.shift()!();
  await waiting;
});

test('closing ends the wait, and still lets through what fits', async () => {
  const device = new Device();
  device.free = 0;
  const waiting = device.guard.waitForRoom(device, MIB);
  device.guard.close();
  device.waits.shift()!();
  await assert.rejects(waiting, { code: 'STORAGE_FULL' });
  device.free = 2 * MIB;
  await device.guard.waitForRoom(device, MIB);
});

test('the reserve holds the worst packing of both generations, for all shards', () => {
  // Records of 2016 bytes take a block each.
  const buffer = 64 * MIB;
  const blocks = Math.ceil(buffer / 2016) * 4096;
  assert.ok(spaceReserveBytes(buffer, 32 * MIB, 1) >= blocks + 2 * 32 * MIB);
  assert.equal(spaceReserveBytes(buffer, 32 * MIB, 3), 3 * spaceReserveBytes(buffer, 32 * MIB, 1));
});
