/**
 * Rows of any version of a schema read as those of any other, for random histories of changes, against a model that
 * knows features by id.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ByteWriter,
  changeSchema,
  compileLayout,
  decodeRow,
  defaultValue,
  encodeKey,
  encodeRow,
  encodeRowColumns,
  type FeatureSpec,
  featuresAt,
  GroupLayouts,
  type GroupSchema,
  RowReader,
  readSlots,
} from '../../protocol/index.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { schemaOf } from './sample-schemas.ts';

const KINDS: readonly FeatureSpec[] = [
  { name: '', type: 'bool', default: true },
  { name: '', type: 'int16' },
  { name: '', type: 'int64', default: -5 },
  { name: '', type: 'float32', default: 0.1 },
  { name: '', type: 'string', default: 'none' },
  { name: '', type: 'string' },
  { name: '', type: 'list', item: 'int32' },
  { name: '', type: 'vector', length: 2 },
];

const VALUES: Readonly<Record<string, unknown>> = {
  bool: false,
  int16: 300,
  int64: 9n,
  float32: 0.5,
  string: 'text',
  list: [1, 2],
  vector: Float32Array.of(1, 2),
};

test('random histories: every pair of versions', () => {
  const seed = testSeed();
  const random = new SeededRandom(seed);
  let schema = schemaOf([{ name: 'f0', type: 'int16' }]);
  const history: GroupSchema[] = [schema];
  for (let step = 0; step < 30; step++) {
    const add = Array.from({ length: random.uint32() % 3 }, (_, index): FeatureSpec => {
      const kind = KINDS[random.uint32() % KINDS.length]!;
      return { ...kind, name: `f${step}_${index}_${kind.type}` };
    });
    const drop = schema.features.filter(() => random.uint32() % 5 === 0).map(({ name }) => name);
    if (add.length === 0 && drop.length === schema.features.length) continue;
    if (add.length + drop.length === 0) continue;
    schema = changeSchema(schema, { add, drop }, 0);
    history.push(schema);
  }
  const newest = new GroupLayouts(schema);
  const key = new ByteWriter();
  encodeKey(schema.key, 7n, key);
  for (const written of history) {
    const layout = newest.of(written.version)!;
    assert.deepEqual(layout, compileLayout(written), `seed ${seed}: layouts follow from the newest schema`);
    const given = new Map(
      featuresAt(schema, written.version).map(({ id, type }) => [
        id,
        random.uint32() % 3 === 0 ? null : VALUES[type],
      ]),
    );
    const writer = new ByteWriter();
    encodeRow(
      layout,
      layout.slots.map(({ id }) => given.get(id)),
      writer,
    );
    for (const asked of history) {
      const reader = new RowReader(asked, compileLayout(asked), null, layout);
      const row = reader.read(key.bytes, 0, key.length, 3, writer.view, 0);
      const expected = asked.features.map((feature) => {
        if (given.has(feature.id)) return given.get(feature.id);
        return written.version < (feature.since ?? 1) ? defaultValue(feature) : null;
      });
      assert.deepEqual(
        Object.values(row),
        [7n, 3, ...expected],
        `seed ${seed}: ${written.version} as ${asked.version}`,
      );
    }
  }
  assert.equal(newest.of(schema.version + 1), undefined);
  assert.equal(newest.of(0), undefined);
});

test('a dropped feature reads as null in rows of a later version, whatever its default was', () => {
  const first = schemaOf([
    { name: 'a', type: 'int8', default: 5 },
    { name: 'b', type: 'int8' },
  ]);
  const second = new GroupLayouts(changeSchema(first, { drop: ['a'] }, 0));
  const [read] = readSlots(first, compileLayout(first).slots, second.of(2)!);
  assert.deepEqual(read, { slot: undefined, absent: null });
});

test('what a row says nothing of has its default, null is null: in objects, arrays and columns', () => {
  const layout = compileLayout(
    schemaOf([
      { name: 'n', type: 'int8', default: 5 },
      { name: 's', type: 'string', default: 'x' },
      { name: 'p', type: 'int8' },
    ]),
  );
  const decoded = (values: Record<string, unknown> | unknown[]): unknown[] => {
    const writer = new ByteWriter();
    encodeRow(layout, values, writer);
    return Object.values(decodeRow(layout, writer.view, 0));
  };
  assert.deepEqual(decoded({}), [5, 'x', null]);
  assert.deepEqual(decoded({ n: undefined, s: null, p: 1 }), [5, null, 1]);
  assert.deepEqual(decoded([undefined, null, 1]), [5, null, 1]);
  const writer = new ByteWriter();
  const offsets = new Uint32Array(4);
  encodeRowColumns(layout, { n: [1, null, undefined] }, 0, 3, writer, offsets);
  const rows = [0, 1, 2].map((row) => Object.values(decodeRow(layout, writer.view, offsets[row]!)));
  assert.deepEqual(rows, [
    [1, 'x', null],
    [null, 'x', null],
    [5, 'x', null],
  ]);
});
