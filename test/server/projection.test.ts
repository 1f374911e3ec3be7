/** Projection against a slow twin that decodes every row, for random schemas, rows and feature lists. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ByteWriter,
  changeSchema,
  compileLayout,
  decodeRow,
  encodeRow,
  type FeatureSpec,
  type FeatureType,
  GroupLayouts,
  type GroupSchema,
  type RowLayout,
  schemaFromSpec,
  validateGroupChange,
} from '../../protocol/index.ts';
import {
  compileProjection,
  DTYPE_FLOAT32,
  DTYPE_FLOAT64,
  type Projection,
  ProjectionCache,
  projectMissing,
  projectRow,
} from '../../server/projection.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

const NUMERIC: readonly FeatureType[] = [
  'bool',
  'int8',
  'int16',
  'int32',
  'int64',
  'float32',
  'float64',
  'timestamp',
  'vector',
];
const OTHER: readonly FeatureType[] = ['string', 'bytes', 'list', 'msgpack'];
const GUARD = 0x5a;

const noOther = (): never => assert.fail('one version is projected');

function schemaOf(features: FeatureSpec[]): GroupSchema {
  return schemaFromSpec({ name: 'g', key: [{ name: 'id', type: 'int64' }], features }, 1, 0);
}

/** The row with a guard around it: 8 bytes before it, so that its offset is not 0. */
function encode(layout: RowLayout, values: Record<string, unknown>): { words: Uint32Array; view: DataView } {
  const writer = new ByteWriter();
  writer.reserve(8);
  encodeRow(layout, values, writer);
  const bytes = new Uint8Array(writer.length);
  bytes.set(writer.bytes.subarray(0, writer.length));
  return { words: new Uint32Array(bytes.buffer), view: new DataView(bytes.buffer) };
}

interface Projected {
  cells: number[];
  valid: boolean[];
}

/** Projects into the middle of a larger buffer and checks that nothing around the row was touched. */
function project(plan: Projection, row: { words: Uint32Array; view: DataView } | null): Projected {
  const cellBytes = plan.cellWords * 4;
  const cellsAt = 16;
  const validityAt = cellsAt + plan.columnCount * cellBytes + 16;
  const bytes = new Uint8Array((validityAt + plan.validityStride + 16 + 7) & ~7).fill(GUARD);
  const view = new DataView(bytes.buffer);
  const words = new Uint32Array(bytes.buffer);
  if (row === null) projectMissing(plan, words, cellsAt, bytes, validityAt);
  else projectRow(plan, row.words, row.view, 8, words, view, cellsAt, bytes, validityAt);
  const cells: number[] = [];
  const valid: boolean[] = [];
  for (let column = 0; column < plan.columnCount; column++) {
    const at = cellsAt + column * cellBytes;
    cells.push(cellBytes === 8 ? view.getFloat64(at, true) : view.getFloat32(at, true));
    valid.push(((bytes[validityAt + (column >> 3)]! >> (column & 7)) & 1) === 1);
  }
  const spareBits = plan.validityStride * 8 - plan.columnCount;
  if (spareBits > 0) {
    assert.equal(bytes[validityAt + plan.validityStride - 1]! >> (8 - spareBits), 0, 'unused bits are 0');
  }
  bytes.fill(GUARD, cellsAt, cellsAt + plan.columnCount * cellBytes);
  bytes.fill(GUARD, validityAt, validityAt + plan.validityStride);
  assert.ok(
    bytes.every((byte) => byte === GUARD),
    'a kernel writes only its row',
  );
  return { cells, valid };
}

/** The slow twin: decodes the row into values and builds the matrix row from them. */
function reference(
  layout: RowLayout,
  view: DataView | null,
  features: readonly { name: string; length: number }[],
  dtype: number,
): Projected {
  const row = view === null ? {} : (decodeRow(layout, view, 8) as Record<string, unknown>);
  const cells: number[] = [];
  const valid: boolean[] = [];
  for (const { name, length } of features) {
    const value = row[name] ?? null;
    for (let item = 0; item < length; item++) {
      const cell = value instanceof Float32Array ? value[item]! : value === null ? Number.NaN : Number(value);
      cells.push(dtype === DTYPE_FLOAT32 ? Math.fround(cell) : cell);
      valid.push(value !== null);
    }
  }
  return { cells, valid };
}

function randomValue(random: SeededRandom, feature: FeatureSpec): unknown {
  if (random.uint32() % 4 === 0) return null;
  const bits = random.uint32();
  const signed = bits | 0;
  switch (feature.type) {
    case 'bool':
      return (bits & 1) === 1;
    case 'int8':
      return (bits << 24) >> 24;
    case 'int16':
      return (bits << 16) >> 16;
    case 'int32':
      return signed;
    case 'int64':
      return (BigInt(signed) << 31n) ^ BigInt(random.uint32());
    case 'timestamp':
      return signed * 1e6 + (random.uint32() % 1e6);
    case 'float32':
      return Math.fround(signed / 1000);
    case 'float64':
      return [Number.NaN, Number.POSITIVE_INFINITY, -0, Number.MIN_VALUE, signed / 7][bits % 5];
    case 'vector':
      return Float32Array.from({ length: feature.length! }, () => random.uint32() / 3);
    case 'string':
      return 'x'.repeat(bits % 9);
    case 'bytes':
      return new Uint8Array(bits % 5);
    case 'list':
      return Array.from({ length: bits % 4 }, () => 1);
    default:
      return { a: bits };
  }
}

test('projection equals the slow reference, for random schemas, rows, feature lists and both dtypes', () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 600; round++) {
    const context = `seed ${seed}, round ${round}`;
    const count = 1 + (random.uint32() % 70);
    const features: FeatureSpec[] = Array.from({ length: count }, (_, index) => {
      const type = [...NUMERIC, ...NUMERIC, ...OTHER][random.uint32() % 22]!;
      const feature: FeatureSpec = { name: `f${index}`, type };
      if (type === 'vector') feature.length = 1 + (random.uint32() % 9);
      if (type === 'list') feature.item = 'int32';
      return feature;
    });
    const schema = schemaOf(features);
    const layout = compileLayout(schema);
    const numeric = layout.slots.filter((slot) => NUMERIC.includes(slot.type));
    if (numeric.length === 0) continue;
    // Sometimes in schema order (runs), sometimes any, repeats included.
    const asked =
      random.uint32() % 2 === 0
        ? numeric.slice(random.uint32() % numeric.length)
        : Array.from(
            { length: 1 + (random.uint32() % 12) },
            () => numeric[random.uint32() % numeric.length]!,
          );
    const values = Object.fromEntries(
      features.map((feature) => [feature.name, randomValue(random, feature)]),
    );
    const row = encode(layout, values);
    for (const dtype of [DTYPE_FLOAT32, DTYPE_FLOAT64]) {
      const plan = compileProjection(
        schema,
        layout,
        layout,
        Uint16Array.from(asked, (slot) => slot.id),
        dtype,
        noOther,
      );
      assert.deepEqual(project(plan, row), reference(layout, row.view, asked, dtype), context);
      assert.deepEqual(project(plan, null), reference(layout, null, asked, dtype), context);
    }
  }
});

test('features of the matrix type in schema order are one run, and nothing is converted', () => {
  const features = Array.from(
    { length: 50 },
    (_, index): FeatureSpec => ({ name: `f${index}`, type: 'float32' }),
  );
  const schema = schemaOf([{ name: 't', type: 'timestamp' }, ...features]);
  const layout = compileLayout(schema);
  const plan = compileProjection(
    schema,
    layout,
    layout,
    Uint16Array.from({ length: 50 }, (_, index) => index + 2),
    DTYPE_FLOAT32,
    noOther,
  );
  assert.deepEqual([plan.runs.length, plan.runs[2], plan.cells.length], [3, 50, 0]);
});

test('an unknown feature and a feature without numbers are refused', () => {
  const schema = schemaOf([
    { name: 'a', type: 'float32' },
    { name: 's', type: 'string' },
  ]);
  const layout = compileLayout(schema);
  const compile = (...ids: number[]): Projection =>
    compileProjection(schema, layout, layout, Uint16Array.from(ids), DTYPE_FLOAT32, noOther);
  assert.throws(() => compile(1, 9), { code: 'FEATURE_NOT_FOUND' });
  assert.throws(() => compile(2), { code: 'TYPE_MISMATCH' });
});

test('the cache gives the plan of the list that was asked for, however many there were', () => {
  const features = Array.from(
    { length: 200 },
    (_, index): FeatureSpec => ({ name: `f${index}`, type: 'float32' }),
  );
  const schema = schemaOf(features);
  const cache = new ProjectionCache(schema, compileLayout(schema), new GroupLayouts(schema));
  const first = cache.get(Uint16Array.of(1, 2), DTYPE_FLOAT32);
  assert.equal(cache.get(Uint16Array.of(1, 2), DTYPE_FLOAT32), first);
  assert.notEqual(cache.get(Uint16Array.of(1, 2), DTYPE_FLOAT64), first);
  for (let id = 1; id <= 200; id++) {
    const ids = Uint16Array.of(id, 1, id);
    assert.deepEqual(cache.get(ids, DTYPE_FLOAT32).featureIds, ids);
  }
});

test('rows of another version have a plan of their own, for the columns of this one', () => {
  const first = schemaOf([
    { name: 'a', type: 'float32' },
    { name: 'b', type: 'int16' },
    { name: 'v', type: 'vector', length: 2 },
  ]);
  const change = validateGroupChange({
    drop: ['a'],
    add: [
      { name: 'c', type: 'int64', default: 7 },
      { name: 'a', type: 'float64' },
      { name: 'w', type: 'vector', length: 2 },
    ],
  });
  const second = changeSchema(first, change, 0);
  const layouts = new GroupLayouts(second);
  const cache = new ProjectionCache(second, compileLayout(second), layouts);
  const idsOf = (...names: string[]): Uint16Array =>
    Uint16Array.from(names, (name) => compileLayout(second).slots.find((slot) => slot.name === name)!.id);
  const row = encode(layouts.of(1)!, { a: 1, b: -2, v: [3, 4] });
  for (const dtype of [DTYPE_FLOAT32, DTYPE_FLOAT64]) {
    assert.deepEqual(project(cache.get(idsOf('c', 'b', 'a', 'v', 'w'), dtype, 1), row), {
      cells: [7, -2, Number.NaN, 3, 4, Number.NaN, Number.NaN],
      valid: [true, true, false, true, true, false, false],
    });
  }
  assert.throws(() => cache.get(idsOf('b'), DTYPE_FLOAT32, 3), { code: 'SCHEMA_VERSION_UNKNOWN' });
  assert.throws(() => cache.get(Uint16Array.of(1), DTYPE_FLOAT32), { code: 'FEATURE_NOT_FOUND' });
});
