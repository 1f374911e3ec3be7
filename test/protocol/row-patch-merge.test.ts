/** The merge of patches: the same as its slow twin, over all types and schema versions, and exact at the edges. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  add,
  append,
  ByteWriter,
  compileLayout,
  decodeRow,
  encodePatch,
  encodeRow,
  type FeatureSpec,
  type GroupSchema,
  max,
  min,
  ROW_BYTES_MAX,
  type RowLayout,
  RowPatcher,
  set,
  type ViewedBytes,
  verifyPatch,
  verifyRow,
} from '../../protocol/index.ts';
import { PATCH_CASE, type PatchCase, type Values } from './patch-arbitraries.ts';
import { referenceMerge } from './reference-patch.ts';
import { schemaOf } from './sample-schemas.ts';
import { announcedSeed } from './seed.ts';

const CASES = 4000;

/** The bytes that `encode` writes, at an odd place of a larger buffer. */
function viewed(encode: (writer: ByteWriter) => void): ViewedBytes & { from: number; to: number } {
  const writer = new ByteWriter();
  encode(writer);
  const bytes = new Uint8Array(writer.length + 13);
  bytes.fill(0xee);
  bytes.set(writer.bytes.subarray(0, writer.length), 5);
  return { bytes, view: new DataView(bytes.buffer), from: 5, to: 5 + writer.length };
}

function encoded(layout: RowLayout, values: Values): Uint8Array {
  const writer = new ByteWriter();
  encodeRow(layout, values, writer);
  return writer.finish();
}

/** Merges as the server does: encode, verify, merge. */
function merged(patcher: RowPatcher, layout: RowLayout, base: Uint8Array | null, patch: Values) {
  const { bytes, view, from, to } = viewed((writer) => encodePatch(layout, patch, writer));
  verifyPatch(layout, view, bytes, from, to);
  const row = base === null ? null : viewed((writer) => writer.raw(base));
  return patcher.merge(row, row?.from ?? 0, { bytes, view }, from);
}

function checkCase(writer: ByteWriter, { schema, earlier, base, isEarlier, patch }: PatchCase): boolean {
  const layout = compileLayout(schema);
  const baseSchema = isEarlier ? earlier : schema;
  const baseLayout = compileLayout(baseSchema);
  const patcher = new RowPatcher(
    layout,
    (version) => [layout, baseLayout].find((known) => known.schemaVersion === version),
    writer,
  );
  const known = new Set(baseSchema.features.map(({ name }) => name));
  const before = Object.fromEntries(Object.entries(base ?? {}).filter(([name]) => known.has(name)));
  const expected = referenceMerge(schema.features, before, patch);
  const actual = merged(patcher, layout, base === null ? null : encoded(baseLayout, before), patch);
  if (expected === null) {
    assert.equal(actual, 'PATCH_INVALID');
    return false;
  }
  assert.ok(typeof actual !== 'string', `refused with ${actual}`);
  assert.deepEqual(Buffer.from(actual), Buffer.from(encoded(layout, expected)));
  verifyRow(layout, new DataView(actual.buffer, actual.byteOffset, actual.length), actual, 0, actual.length);
  return true;
}

test('a merge gives the bytes of the row that its slow twin gives, from any version, and refuses what that refuses', () => {
  const seed = announcedSeed('merges');
  // One writer for all: nothing of one merge may reach the next.
  const writer = new ByteWriter();
  let refused = 0;
  fc.assert(
    fc.property(PATCH_CASE, (given) => {
      if (!checkCase(writer, given)) refused += 1;
    }),
    { numRuns: CASES, seed: seed | 0 },
  );
  assert.ok(refused > CASES / 1000 && refused < CASES / 2, `${refused} of ${CASES} left a range`);
});

function patcherOf(features: FeatureSpec[]): { schema: GroupSchema; layout: RowLayout; patcher: RowPatcher } {
  const schema = schemaOf(features);
  const layout = compileLayout(schema);
  return { schema, layout, patcher: new RowPatcher(layout, () => undefined, new ByteWriter()) };
}

/** One feature `v` after each patch in turn, from no row. */
function chain(feature: Omit<FeatureSpec, 'name'>, ...steps: unknown[]): unknown[] {
  const { layout, patcher } = patcherOf([{ name: 'v', ...feature }]);
  let row: Uint8Array | null = null;
  return steps.map((v) => {
    const result = merged(patcher, layout, row, { v });
    if (typeof result === 'string') return result;
    row = Uint8Array.from(result);
    return decodeRow(layout, new DataView(row.buffer), 0)['v'];
  });
}

test('int64 is exact over all of its 64 bits, and refused beyond them', () => {
  assert.deepEqual(chain({ type: 'int64' }, add(2n ** 53n), add(1), add(2n ** 62n)), [
    2n ** 53n,
    2n ** 53n + 1n,
    2n ** 62n + 2n ** 53n + 1n,
  ]);
  const top = 2n ** 63n - 1n;
  assert.deepEqual(chain({ type: 'int64' }, set(top), add(1), add(-1), add(0)), [
    top,
    'PATCH_INVALID',
    top - 1n,
    top - 1n,
  ]);
  assert.deepEqual(chain({ type: 'int64' }, set(-top - 1n), add(-1), add(2n ** 32n)), [
    -top - 1n,
    'PATCH_INVALID',
    -top - 1n + 2n ** 32n,
  ]);
  assert.deepEqual(chain({ type: 'int64' }, set(-1n), min(1), max(-2n), min(-(2n ** 40n)), max(2n ** 33n)), [
    -1n,
    -1n,
    -1n,
    -(2n ** 40n),
    2n ** 33n,
  ]);
});

test('float32 sums are rounded as float32, float64 sums as float64', () => {
  assert.deepEqual(
    chain({ type: 'float32' }, set(16_777_216), add(1), add(2)),
    [16_777_216, 16_777_216, 16_777_218],
  );
  assert.deepEqual(chain({ type: 'float32' }, add(0.1), add(0.2)), [Math.fround(0.1), Math.fround(0.3)]);
  assert.deepEqual(chain({ type: 'float64' }, add(0.1), add(0.2)), [0.1, 0.1 + 0.2]);
});

test('infinities cancel out to the one NaN, which gives way to min and max and to nothing else', () => {
  for (const type of ['float32', 'float64'] as const) {
    const inf = Number.POSITIVE_INFINITY;
    assert.deepEqual(chain({ type }, add(inf), add(-inf), add(1), max(-5), min(-7)), [
      inf,
      Number.NaN,
      Number.NaN,
      -5,
      -7,
    ]);
  }
  assert.ok(
    Object.is(chain({ type: 'float64' }, set(0), min(-0))[1], 0),
    'equal values: the one there stays',
  );
});

test('a list keeps its newest items, whatever came at once', () => {
  assert.deepEqual(
    chain(
      { type: 'list', item: 'int16' },
      append(1, { max: 3 }),
      append([2, 3, 4], { max: 3 }),
      append([5, 6, 7, 8], { max: 3 }),
      append([], { max: 2 }),
      null,
      append([], { max: 2 }),
    ),
    [[1], [2, 3, 4], [6, 7, 8], [7, 8], null, []],
  );
  assert.deepEqual(
    chain({ type: 'list', item: 'string' }, append(['a', '', 'ü'], { max: 9 }), append('xyz', { max: 3 })),
    [
      ['a', '', 'ü'],
      ['', 'ü', 'xyz'],
    ],
  );
});

test('a list stays within its bound over thousands of appends', () => {
  const { layout, patcher } = patcherOf([
    { name: 'n', type: 'int32' },
    { name: 'recent', type: 'list', item: 'int64' },
    { name: 's', type: 'string' },
  ]);
  let row: Uint8Array | null = null;
  for (let i = 0; i < 5000; i++) {
    const patch = { n: add(1), recent: append(i, { max: 50 }), s: `at ${i}` };
    row = Uint8Array.from(merged(patcher, layout, row, patch) as Uint8Array);
  }
  const { n, recent, s } = decodeRow(layout, new DataView(row!.buffer), 0);
  assert.deepEqual([n, s], [5000, 'at 4999']);
  assert.deepEqual(
    recent,
    Array.from({ length: 50 }, (_, i) => BigInt(4950 + i)),
  );
});

test('a row that would be larger than a row may be is refused, and the next merge is not disturbed', () => {
  const { layout, patcher } = patcherOf([
    { name: 'a', type: 'bytes' },
    { name: 'b', type: 'bytes' },
  ]);
  const half = new Uint8Array(ROW_BYTES_MAX / 2);
  const base = encoded(layout, { a: half });
  assert.equal(merged(patcher, layout, base, { b: half }), 'ROW_TOO_LARGE');
  const small = merged(patcher, layout, base, { b: Uint8Array.of(1) }) as Uint8Array;
  assert.deepEqual(Buffer.from(small), Buffer.from(encoded(layout, { a: half, b: Uint8Array.of(1) })));
});

test('a patch that came before a feature was dropped is refused, not applied in part', () => {
  const before = schemaOf([
    { name: 'a', type: 'int32' },
    { name: 's', type: 'string' },
    { name: 'b', type: 'int32' },
  ]);
  const after = compileLayout({ ...before, version: 2, features: before.features.slice(0, 2) });
  const layout = compileLayout(before);
  const patcher = new RowPatcher(after, () => layout, new ByteWriter());
  const base = encoded(layout, { a: 1, s: 'x', b: 3 });
  assert.equal(merged(patcher, layout, base, { a: add(1), s: 'y', b: add(1) }), 'PATCH_INVALID');
  const result = merged(patcher, layout, base, { a: add(1) }) as Uint8Array;
  assert.deepEqual(Buffer.from(result), Buffer.from(encoded(after, { a: 2, s: 'x' })));
});

test('features newer than the base, and all of a row that is not there, begin with their defaults', () => {
  const newest = schemaOf([
    { name: 'a', type: 'int32' },
    { name: 'n', type: 'int64', default: 10 },
    { name: 's', type: 'string', default: 'none' },
    { name: 't', type: 'string', default: 'tee' },
  ]);
  const layout = compileLayout({ ...newest, version: 2 });
  const earlier = compileLayout({ ...newest, features: newest.features.slice(0, 1) });
  const patcher = new RowPatcher(layout, () => earlier, new ByteWriter());
  const patch = { n: add(5), t: 'x' };
  const read = (row: Uint8Array | string): Values => {
    assert.ok(typeof row !== 'string', `refused with ${row}`);
    return decodeRow(layout, new DataView(row.buffer, row.byteOffset, row.length), 0);
  };
  assert.deepEqual(read(merged(patcher, layout, null, patch)), { a: null, n: 15n, s: 'none', t: 'x' });
  assert.deepEqual(read(merged(patcher, layout, encoded(earlier, { a: 1 }), patch)), {
    a: 1,
    n: 15n,
    s: 'none',
    t: 'x',
  });
  const nulls = encoded(layout, { a: 1, n: null, s: null, t: 't' });
  assert.deepEqual(read(merged(patcher, layout, nulls, patch)), { a: 1, n: 5n, s: null, t: 'x' });
});

test('a base of a version that the group never had is a fault of ours, and told as such', () => {
  const { schema, patcher, layout } = patcherOf([{ name: 'a', type: 'int32' }]);
  const stranger = encoded(compileLayout({ ...schema, version: 9 }), { a: 1 });
  assert.equal(merged(patcher, layout, stranger, { a: 2 }), 'INTERNAL');
});
