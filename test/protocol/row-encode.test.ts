/** Rows are canonical, agree with the slow twin, survive, and values that do not fit leave no trace. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ByteWriter,
  compileLayout,
  decodeRow,
  encodeRow,
  type FeatureSpec,
  verifyRow,
} from '../../protocol/index.ts';
import { bytesOf, refusal } from './frames.ts';
import { referenceRow } from './reference-row.ts';
import { SCHEMA_AND_ROWS } from './row-arbitraries.ts';
import { EVERY_TYPE, EVERY_VALUE, schemaOf } from './sample-schemas.ts';
import { announcedSeed } from './seed.ts';

function encoded(features: FeatureSpec[], values: Record<string, unknown> | unknown[]): Uint8Array {
  return bytesOf((writer) => {
    encodeRow(compileLayout(schemaOf(features)), values, writer);
  });
}

function reread(features: FeatureSpec[], values: Record<string, unknown>): Record<string, unknown> {
  const bytes = encoded(features, values);
  return decodeRow(compileLayout(schemaOf(features)), new DataView(bytes.buffer, bytes.byteOffset), 0);
}

test('any row has the bytes of the slow twin, is verified, and survives', () => {
  const seed = announcedSeed('row round trip');
  fc.assert(
    fc.property(SCHEMA_AND_ROWS, fc.nat(3), ({ schema, rows }, before) => {
      const layout = compileLayout(schema);
      const writer = new ByteWriter(16);
      writer.reserve(before);
      for (const row of rows) {
        const start = writer.length;
        encodeRow(layout, row, writer);
        const length = writer.length - start;
        assert.deepEqual([...writer.bytes.subarray(start, writer.length)], referenceRow(schema, row));
        verifyRow(layout, writer.view, writer.bytes, start, length);
        assert.deepEqual(decodeRow(layout, writer.view, start), row);
      }
    }),
    { seed, numRuns: 500 },
  );
});

test('the order of properties, unknown ones, arrays and classes make no difference', () => {
  const seed = announcedSeed('row canonical');
  fc.assert(
    fc.property(SCHEMA_AND_ROWS, fc.infiniteStream(fc.nat()), ({ schema, rows }, numbers) => {
      const layout = compileLayout(schema);
      for (const row of rows) {
        const expected = bytesOf((writer) => encodeRow(layout, row, writer));
        const entries = Object.entries(row).concat([['another', 1]]);
        entries.sort(() => ((numbers.next().value ?? 0) % 3) - 1);
        const shuffled = Object.fromEntries(entries);
        const inherited = Object.create(row) as Record<string, unknown>;
        const hidden = Object.defineProperties(
          {},
          Object.fromEntries(Object.entries(row).map(([name, value]) => [name, { get: () => value }])),
        );
        const list = schema.features.map((feature) => row[feature.name]);
        for (const form of [shuffled, inherited, hidden, list]) {
          assert.deepEqual(
            bytesOf((writer) => encodeRow(layout, form as Record<string, unknown>, writer)),
            expected,
          );
        }
      }
    }),
    { seed, numRuns: 100 },
  );
});

test('the forms a value may take are one row', () => {
  const feature = (type: FeatureSpec['type'], more: object = {}): FeatureSpec[] => [
    { name: 'f', type, ...more },
  ];
  const same = (features: FeatureSpec[], ...values: unknown[]): void => {
    const expected = encoded(features, [values[0]]);
    for (const value of values) assert.deepEqual(encoded(features, { f: value }), expected);
  };
  same(feature('int64'), 7, 7n);
  same(feature('timestamp'), 5000, 5000n, new Date(5));
  same(feature('float32'), 0.1, Math.fround(0.1));
  same(feature('vector', { length: 2 }), [1, 2], Float32Array.of(1, 2), Float64Array.of(1, 2));
  same(feature('list', { item: 'int16' }), [1, 2], Int16Array.of(1, 2), Float64Array.of(1, 2));
  same(feature('bytes'), Uint8Array.of(1), Buffer.of(1));
  same(feature('string'), undefined, null);
});

test('NaN has one form, whatever bits it came with', () => {
  const odd = new DataView(new ArrayBuffer(8));
  odd.setUint32(0, 0xffc00001, true);
  const float = odd.getFloat32(0, true);
  odd.setUint32(4, 0xfff80000, true);
  const double = odd.getFloat64(0, true);
  const bytes = encoded(
    [
      { name: 'd', type: 'float64' },
      { name: 'f', type: 'float32' },
      { name: 'v', type: 'vector', length: 1 },
    ],
    [double, float, Float32Array.of(float)],
  );
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  assert.equal(view.getBigUint64(16, true), 0x7ff8000000000000n);
  assert.equal(view.getUint32(24, true), 0x7fc00000);
  assert.equal(view.getUint32(28, true), 0x7fc00000);
});

test('zero keeps its sign, floats their infinities', () => {
  const features: FeatureSpec[] = [
    { name: 'a', type: 'float32' },
    { name: 'b', type: 'float64' },
  ];
  assert.deepEqual(reread(features, { a: -0, b: Number.NEGATIVE_INFINITY }), {
    a: -0,
    b: Number.NEGATIVE_INFINITY,
  });
});

test('values outside their type are refused with the feature, the value and what is allowed', () => {
  const cases: [FeatureSpec['type'], object, unknown[]][] = [
    ['bool', {}, [1, 'true', 0n]],
    ['int8', {}, [128, -129, 1.5, Number.NaN, '1', 1n, true]],
    ['int16', {}, [32768, -32769, 65536, 0.5]],
    ['int32', {}, [2 ** 31, -(2 ** 31) - 1, Number.POSITIVE_INFINITY]],
    ['int64', {}, [2 ** 53, 1.5, Number.NaN, 2n ** 63n, -(2n ** 63n) - 1n, '5', new Date()]],
    ['float32', {}, ['1', 1n, true, {}]],
    ['float64', {}, ['1', 1n]],
    ['timestamp', {}, [1.5, Number.NaN, new Date(Number.NaN), 2n ** 60n, '2020-01-01']],
    ['string', {}, [5, {}, '\udc00']],
    ['bytes', {}, ['abc', [1]]],
    ['vector', { length: 2 }, [[1], [1, 2, 3], [1, '2'], [1, null], Float32Array.of(1), 5, 'ab']],
    [
      'list',
      { item: 'int8' },
      [5, 'ab', [128], [null], [undefined], ['x'], new DataView(new ArrayBuffer(1))],
    ],
    ['list', { item: 'string' }, [[5], [null], ['\ud800']]],
    ['msgpack', {}, [2n ** 70n, new Map(), () => 1, Float32Array.of(1)]],
  ];
  for (const [type, more, values] of cases) {
    const features: FeatureSpec[] = [{ name: 'f', type, ...more }];
    const layout = compileLayout(schemaOf(features));
    for (const value of values) {
      const writer = new ByteWriter();
      writer.u32(1);
      const code = refusal(
        'TYPE_MISMATCH',
        type === 'msgpack' ? /MessagePack/ : /^feature "f" \(.*\) got .*allowed: /,
      );
      assert.throws(() => encodeRow(layout, { f: value }, writer), code, `${type}: ${String(value)}`);
      assert.equal(writer.length, 4);
      // What the refused row left behind does not leak into the next.
      encodeRow(layout, {}, writer);
      verifyRow(layout, writer.view, writer.bytes, 4, writer.length - 4);
      assert.deepEqual(decodeRow(layout, writer.view, 4), { f: null });
    }
  }
});

test('a refused row does not leak its variable values into the next', () => {
  const layout = compileLayout(
    schemaOf([
      { name: 's', type: 'string' },
      { name: 'n', type: 'int8' },
    ]),
  );
  const writer = new ByteWriter();
  assert.throws(() => encodeRow(layout, { s: 'left behind', n: 1000 }, writer), refusal('TYPE_MISMATCH'));
  encodeRow(layout, { n: 1 }, writer);
  assert.deepEqual(decodeRow(layout, writer.view, 0), { s: null, n: 1 });
});

test('rows and lists over their limits are refused', () => {
  const bytes: FeatureSpec[] = [{ name: 'b', type: 'bytes' }];
  assert.equal(encoded(bytes, [new Uint8Array(1048576 - 24)]).length, 1048576);
  assert.throws(
    () => encoded(bytes, [new Uint8Array(1048576 - 23)]),
    refusal('ROW_TOO_LARGE', /1048584 bytes.*1048576/),
  );
  const list: FeatureSpec[] = [{ name: 'l', type: 'list', item: 'bool' }];
  assert.throws(() => encoded(list, [new Array(65537).fill(true)]), refusal('LIMIT_EXCEEDED', /65537 items/));
});

test('an array must have a value a feature', () => {
  assert.throws(
    () => encoded(EVERY_TYPE, [1, 2]),
    refusal('ROW_INVALID', /2 values; the schema has 21 features/),
  );
});

test('what is decoded does not live in the row it came from', () => {
  const bytes = encoded(EVERY_TYPE, EVERY_VALUE);
  const row = decodeRow(compileLayout(schemaOf(EVERY_TYPE)), new DataView(bytes.buffer, bytes.byteOffset), 0);
  bytes.fill(0);
  assert.deepEqual(row, EVERY_VALUE);
});
