/** Index entries: every field to its limits and back, and the bytes that the document shows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  digestHiOf,
  expiryHoursOf,
  hoursNow,
  readEventTimeMicros,
  readExpiryHours,
  readIsTombstone,
  readLsn,
  readOffset,
  readWhere,
  spreadOf,
  tagOf,
  WHERE_BUFFER,
  WHERE_LEVEL_ONE,
  WHERE_LEVEL_ZERO,
  writePlace,
  writeVersion,
} from '../../storage/index-entry.ts';
import { assertGolden } from '../support/golden-bytes.ts';

const SAFE_MAX = Number.MAX_SAFE_INTEGER;
const EXPIRY_HOURS_MAX = 2 ** 22 - 1;

test('every field of a version comes back, at its limits and beside full neighbours', () => {
  const eventTimes = [
    0,
    1,
    -1,
    SAFE_MAX,
    -SAFE_MAX,
    1_700_000_000_123_456,
    2 ** 32,
    -(2 ** 32),
    -(2 ** 32) - 1,
  ];
  for (const eventTimeMicros of eventTimes) {
    for (const [where, block, offset, lsn, isTombstone, expiryHours] of [
      [WHERE_BUFFER, 0, 0, 1, false, 0],
      [WHERE_LEVEL_ZERO, 0xffffffff, 8184, 2 ** 39 - 1, true, EXPIRY_HOURS_MAX],
      [WHERE_LEVEL_ONE, 0x80000000, 48, 2 ** 32, false, 1],
    ] as const) {
      const slab = new Uint32Array(24).fill(0xffffffff);
      writeVersion(slab, 8, where, block, offset, eventTimeMicros, lsn, isTombstone, expiryHours);
      assert.equal(readWhere(slab, 8), where);
      assert.equal(slab[11], block);
      assert.equal(readOffset(slab, 8), offset);
      assert.equal(readEventTimeMicros(slab, 8), eventTimeMicros);
      assert.equal(readLsn(slab, 8), lsn);
      assert.equal(readIsTombstone(slab, 8), isTombstone);
      assert.equal(readExpiryHours(slab, 8), expiryHours);
      assert.ok([0, 7, 8, 9, 10, 16, 23].every((word) => slab[word] === 0xffffffff));
    }
  }
});

test('moving a version changes where it lies and nothing else', () => {
  const slab = new Uint32Array(8);
  writeVersion(slab, 0, WHERE_BUFFER, 77, 0, -SAFE_MAX, 2 ** 39 - 1, true, EXPIRY_HOURS_MAX);
  writePlace(slab, 0, WHERE_LEVEL_ZERO, 0xfffffffe, 4064);
  assert.equal(readWhere(slab, 0), WHERE_LEVEL_ZERO);
  assert.equal(slab[3], 0xfffffffe);
  assert.equal(readOffset(slab, 0), 4064);
  assert.equal(readEventTimeMicros(slab, 0), -SAFE_MAX);
  assert.equal(readLsn(slab, 0), 2 ** 39 - 1);
  assert.equal(readIsTombstone(slab, 0), true);
  assert.equal(readExpiryHours(slab, 0), EXPIRY_HOURS_MAX);
});

test('what does not fit its bits is refused', () => {
  const slab = new Uint32Array(8);
  assert.throws(() => writeVersion(slab, 0, 2, 1, 8192, 0, 1, false, 0), /10 bits/);
  assert.throws(() => writeVersion(slab, 0, 2, 1, 4, 0, 1, false, 0), /10 bits/);
  assert.throws(() => writeVersion(slab, 0, 2, 1, 8, 0, 2 ** 39, false, 0), /39 bits/);
  assert.throws(() => writePlace(slab, 0, 2, 1, 8192), /10 bits/);
});

test('a spread digest gives the digest back, and groups of one entity are far apart', () => {
  const spreads = [1, 2, 3, 100, 4095].map((group) => {
    for (const digestHi of [0, 1, 0x7fffffff, 0x80000000, 0xffffffff]) {
      assert.equal(digestHiOf(spreadOf(digestHi, group), group), digestHi);
    }
    return spreadOf(5, group) >>> 0;
  });
  spreads.sort((a, b) => a - b);
  for (let index = 1; index < spreads.length; index++) {
    assert.ok(spreads[index]! - spreads[index - 1]! > 2 ** 18);
  }
});

test('a tag holds the group and the digest without its partition', () => {
  assert.equal(tagOf(0xffffffff, 1) >>> 0, 0xfffff001);
  assert.equal(tagOf(0x00000fff, 4095), 4095);
});

test('an expiry is rounded up to the hour, so the index never calls a row expired that is not', () => {
  const epoch = Date.UTC(2020, 0, 1) / 1000;
  assert.equal(expiryHoursOf(0), 0);
  assert.equal(expiryHoursOf(1), 1);
  assert.equal(expiryHoursOf(epoch + 1), 1);
  assert.equal(expiryHoursOf(epoch + 3600), 1);
  assert.equal(expiryHoursOf(epoch + 3601), 2);
  assert.equal(expiryHoursOf(0xffffffff), Math.ceil((0xffffffff - epoch) / 3600));
  for (const expirySeconds of [epoch + 3600, epoch + 3601, epoch + 7199, 1_700_000_000]) {
    const expiresAt = expiryHoursOf(expirySeconds);
    assert.ok(hoursNow(expirySeconds - 1) < expiresAt, 'not a second before');
    assert.ok(hoursNow(expirySeconds + 3600) >= expiresAt, 'within the hour after');
  }
});

test('an entry has its golden bytes', () => {
  const slab = new Uint32Array(8);
  slab[0] = spreadOf(0x89abcdef, 1234);
  slab[1] = tagOf(0xfedcba98, 1234);
  slab[2] = 0x01234567;
  writeVersion(slab, 0, WHERE_LEVEL_ZERO, 70_000, 2104, 1_700_000_000_123_456, 2 ** 33 + 5, true, 34_000);
  assertGolden('index-entry', new Uint8Array(slab.buffer));
});
