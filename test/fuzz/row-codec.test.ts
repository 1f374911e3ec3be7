/**
 * The row codec under garbage: rows of random schemas with damaged bytes.
 *
 * What verifyRow accepts must be usable: it decodes without an error and, encoded again, gives the same bytes, for a row
 * has one encoding. (Two things are the writer's to keep, as row.md says: the form of NaN, and a msgpack value's own
 * encoding; where those are in play the values are compared instead.) What it refuses, it refuses with a ProtocolError.
 * Replay with SEED=….
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ByteWriter,
  compileLayout,
  decodeKey,
  decodeRow,
  encodeKey,
  encodeRow,
  KEY_TYPES,
  type KeyColumn,
  ProtocolError,
  type RowLayout,
  verifyKey,
  verifyRow,
} from '../../protocol/index.ts';
import { SCHEMA_AND_ROWS } from '../protocol/row-arbitraries.ts';
import { announcedSeed, pick } from '../protocol/seed.ts';
import { SeededRandom } from '../support/random-source.ts';

const SCHEMAS = 300;
const DAMAGES = 150;

/** Whether `step` was refused with a ProtocolError; anything else it throws goes on. */
function refused(step: () => void): boolean {
  try {
    step();
    return false;
  } catch (error) {
    if (error instanceof ProtocolError) return true;
    throw error;
  }
}

function damage(random: SeededRandom, bytes: Buffer): void {
  const at = random.below(bytes.length);
  const kind = random.below(5);
  if (kind === 0) bytes[at] = random.uint32() & 0xff;
  else if (kind === 1) bytes[at] = bytes[at]! ^ (1 << random.below(8));
  else if (kind === 2)
    bytes.writeUInt32LE(
      pick(random, [0, 1, 8, 24, 0x7fffffff, 0xffffffff]),
      (at & ~3) % Math.max(1, bytes.length - 3),
    );
  else if (kind === 3) bytes.fill(0, at, Math.min(bytes.length, at + 8));
  else bytes.copyWithin(at, random.below(bytes.length), bytes.length);
}

/** Whether the bytes have parts whose form is not checked. */
function hasFreeForm(layout: RowLayout, row: Record<string, unknown>): boolean {
  const nan = (value: unknown): boolean =>
    Number.isNaN(value) ||
    ((Array.isArray(value) || value instanceof Float32Array) && Array.from(value).some(nan));
  return layout.slots.some(
    (slot) => (slot.type === 'msgpack' && row[slot.name] !== null) || nan(row[slot.name]),
  );
}

/** The row with vectors as arrays: typed arrays are compared by their bytes, and NaN has many. */
function plain(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      value instanceof Float32Array ? Array.from(value) : value,
    ]),
  );
}

function checkAccepted(layout: RowLayout, bytes: Buffer): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const row = decodeRow(layout, view, 0);
  const writer = new ByteWriter();
  encodeRow(layout, row, writer);
  if (hasFreeForm(layout, row)) assert.deepEqual(plain(decodeRow(layout, writer.view, 0)), plain(row));
  else assert.deepEqual(Buffer.from(writer.bytes.subarray(0, writer.length)), bytes);
}

test('a damaged row is refused, or is the one encoding of what it reads as', () => {
  const seed = announcedSeed('fuzz rows');
  const random = new SeededRandom(seed);
  let accepted = 0;
  let refusals = 0;
  for (const { schema, rows } of fc.sample(SCHEMA_AND_ROWS, { numRuns: SCHEMAS, seed: seed | 0 })) {
    const layout = compileLayout(schema);
    const writer = new ByteWriter();
    encodeRow(layout, rows[0]!, writer);
    const original = Buffer.from(writer.bytes.subarray(0, writer.length));
    for (let round = 0; round < DAMAGES; round++) {
      const bytes = Buffer.from(original);
      for (let damages = 1 + random.below(3); damages > 0; damages--) damage(random, bytes);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      if (refused(() => verifyRow(layout, view, bytes, 0, bytes.length))) refusals++;
      else {
        accepted++;
        checkAccepted(layout, bytes);
      }
    }
  }
  assert.ok(accepted > 1000 && refusals > 1000, `${accepted} accepted, ${refusals} refused`);
});

test('rows of random bytes and every cut of a row are refused without a read outside', () => {
  const seed = announcedSeed('fuzz row cuts');
  const random = new SeededRandom(seed);
  for (const { schema, rows } of fc.sample(SCHEMA_AND_ROWS, { numRuns: 100, seed: seed | 0 })) {
    const layout = compileLayout(schema);
    const writer = new ByteWriter();
    encodeRow(layout, rows[0]!, writer);
    const whole = Buffer.from(writer.bytes.subarray(0, writer.length));
    for (let length = 0; length < whole.length; length++) {
      // A view of exactly the cut: a read outside it throws a RangeError, which is no refusal.
      const cut = Buffer.from(whole.subarray(0, length));
      const view = new DataView(cut.buffer, cut.byteOffset, length);
      assert.ok(refused(() => verifyRow(layout, view, cut, 0, length)));
    }
    const noise = Buffer.from(random.bytes(whole.length));
    whole.copy(noise, 0, 0, 8);
    const view = new DataView(noise.buffer, noise.byteOffset, noise.length);
    if (!refused(() => verifyRow(layout, view, noise, 0, noise.length))) checkAccepted(layout, noise);
  }
});

test('damaged keys are refused, or are the one encoding of what they read as', () => {
  const seed = announcedSeed('fuzz keys');
  const random = new SeededRandom(seed);
  let accepted = 0;
  for (let round = 0; round < 20_000; round++) {
    const columns = Array.from(
      { length: 1 + random.below(3) },
      (_, index): KeyColumn => ({ name: `k${index}`, type: pick(random, KEY_TYPES) }),
    );
    const bytes = Buffer.from(random.bytes(random.below(48)));
    // Short lengths, so that strings often fit.
    for (let at = 0; at < bytes.length; at++) if (random.chance(0.8)) bytes[at] = random.below(4);
    if (refused(() => verifyKey(columns, bytes, 0, bytes.length))) continue;
    accepted++;
    const writer = new ByteWriter();
    encodeKey(columns, decodeKey(columns, bytes, 0, bytes.length), writer);
    assert.deepEqual(Buffer.from(writer.bytes.subarray(0, writer.length)), bytes);
  }
  assert.ok(accepted > 20, `${accepted} accepted`);
});
