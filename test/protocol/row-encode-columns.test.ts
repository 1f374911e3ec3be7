/** Rows from columns have the bytes of rows from objects, for every kind of array and any range. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ByteWriter,
  compileLayout,
  encodeRow,
  encodeRowColumns,
  type FeatureColumn,
  type FeatureSpec,
} from '../../protocol/index.ts';
import { refusal } from './frames.ts';
import { arbitraryOf, SCHEMA_AND_ROWS } from './row-arbitraries.ts';
import { EVERY_TYPE, schemaOf } from './sample-schemas.ts';
import { announcedSeed } from './seed.ts';

type Columns = Record<string, FeatureColumn>;

/** Rows [from, to) as encodeRow writes them, and as encodeRowColumns does: they must be the same. */
function compare(
  features: FeatureSpec[],
  columns: Columns,
  rows: Record<string, unknown>[],
  from: number,
  to: number,
): void {
  const layout = compileLayout(schemaOf(features));
  const expected = new ByteWriter();
  const starts = [3];
  expected.reserve(3);
  for (const row of rows.slice(from, to)) {
    encodeRow(layout, row, expected);
    starts.push(expected.length);
  }
  const writer = new ByteWriter(8);
  writer.reserve(3);
  const offsets = new Uint32Array(to - from + 1);
  encodeRowColumns(layout, columns, from, to, writer, offsets);
  assert.deepEqual([...offsets], starts);
  assert.deepEqual(writer.bytes.subarray(0, writer.length), expected.bytes.subarray(0, expected.length));
}

test('any columns give the rows of their objects', () => {
  const seed = announcedSeed('columns against rows');
  fc.assert(
    fc.property(SCHEMA_AND_ROWS, fc.nat(4), ({ schema, rows }, from) => {
      const columns: Columns = Object.fromEntries(
        schema.features.map((feature) => [feature.name, rows.map((row) => row[feature.name])]),
      );
      compare(schema.features, columns, rows, Math.min(from, rows.length), rows.length);
    }),
    { seed, numRuns: 300 },
  );
});

test('more rows than a block, of every type, with nulls', () => {
  const seed = announcedSeed('columns of many blocks');
  const count = 400;
  const columns: Columns = {};
  for (const [index, feature] of EVERY_TYPE.entries()) {
    columns[feature.name] = fc.sample(fc.option(arbitraryOf(feature), { freq: 5 }), {
      numRuns: count,
      seed: seed + index,
    });
  }
  const rows = Array.from({ length: count }, (_, row) =>
    Object.fromEntries(EVERY_TYPE.map((feature) => [feature.name, columns[feature.name]![row]])),
  );
  compare(EVERY_TYPE, columns, rows, 0, count);
  compare(EVERY_TYPE, columns, rows, 100, 300);
});

test('typed arrays give the rows of their values', () => {
  const count = 300;
  const number = (scale: number) => (_: unknown, index: number) => (index - 150) * scale;
  const typed: [FeatureSpec['type'], ArrayLike<number | bigint>][] = [
    ['float32', Float32Array.from({ length: count }, number(0.37))],
    ['float32', Float64Array.from({ length: count }, number(0.37))],
    ['float64', Float32Array.from({ length: count }, number(0.37))],
    ['float64', Int32Array.from({ length: count }, number(1000))],
    ['int8', Int8Array.from({ length: count }, (_, index) => index)],
    ['int16', Int16Array.from({ length: count }, number(7))],
    ['int16', Uint8Array.from({ length: count }, number(1))],
    ['int32', Int32Array.from({ length: count }, number(1_000_003))],
    ['int64', Float64Array.from({ length: count }, number(2 ** 40))],
    ['int64', BigInt64Array.from({ length: count }, (_, index) => BigInt(index) << 40n)],
    ['timestamp', Float64Array.from({ length: count }, number(2 ** 40))],
    ['timestamp', BigInt64Array.from({ length: count }, (_, index) => BigInt(index) << 40n)],
  ];
  const features = typed.map(([type], index): FeatureSpec => ({ name: `f${index}`, type }));
  const columns: Columns = Object.fromEntries(typed.map(([, column], index) => [`f${index}`, column]));
  const rows = Array.from({ length: count }, (_, row) =>
    Object.fromEntries(typed.map(([, column], index) => [`f${index}`, column[row]])),
  );
  compare(features, columns, rows, 0, count);
});

test('a vector column may be one Float32Array or an array a row', () => {
  const features: FeatureSpec[] = [
    { name: 's', type: 'string' },
    { name: 'v', type: 'vector', length: 3 },
  ];
  const flat = Float32Array.from({ length: 3 * 200 }, (_, index) => (index % 7 === 0 ? Number.NaN : index));
  const apart = Array.from({ length: 200 }, (_, row) => flat.slice(3 * row, 3 * row + 3));
  const names = Array.from({ length: 200 }, (_, row) => (row % 3 === 0 ? null : `row ${row}`));
  const rows = apart.map((v, row) => ({ s: names[row], v }));
  compare(features, { s: names, v: flat }, rows, 5, 150);
  compare(features, { s: names, v: apart }, rows, 0, 200);
});

test('a feature without a column is null, a column without a feature is not looked at', () => {
  const features: FeatureSpec[] = [
    { name: 'a', type: 'int8' },
    { name: 'b', type: 'string' },
  ];
  compare(features, { a: [1, 2], other: ['x'] }, [{ a: 1 }, { a: 2 }], 0, 2);
});

test('a value that does not fit names its row, and the writer is as it was', () => {
  const layout = compileLayout(schemaOf(EVERY_TYPE));
  const refuses = (columns: Columns, row: number, code: string): void => {
    const writer = new ByteWriter();
    writer.u32(1);
    const offsets = new Uint32Array(301);
    assert.throws(
      () => encodeRowColumns(layout, columns, 0, 300, writer, offsets),
      refusal(code, new RegExp(`^row ${row}: feature "`)),
    );
    assert.equal(writer.length, 4);
  };
  const filled = (value: unknown, bad: unknown, at: number): unknown[] => {
    const column = new Array<unknown>(300).fill(value);
    column[at] = bad;
    return column;
  };
  refuses({ a_int8: filled(1, 128, 0) }, 0, 'TYPE_MISMATCH');
  refuses({ a_int8: Int16Array.from(filled(1, 128, 299) as number[]) }, 299, 'TYPE_MISMATCH');
  refuses({ a_string: filled('x', 5, 200) }, 200, 'TYPE_MISMATCH');
  refuses({ a_vector: filled([1, 2, 3], [1, 2], 130) }, 130, 'TYPE_MISMATCH');
  refuses({ a_bool: new Uint8Array(300) }, 0, 'TYPE_MISMATCH');
});

test('a column that ends early is refused', () => {
  const layout = compileLayout(schemaOf(EVERY_TYPE));
  const encode = (columns: Columns) => () =>
    encodeRowColumns(layout, columns, 0, 3, new ByteWriter(), new Uint32Array(4));
  assert.throws(
    encode({ a_int8: [1, 2] }),
    refusal('ROW_INVALID', /"a_int8" has 2 values; rows up to 3 need 3/),
  );
  assert.throws(encode({ a_vector: new Float32Array(8) }), refusal('ROW_INVALID', /need 9/));
});
