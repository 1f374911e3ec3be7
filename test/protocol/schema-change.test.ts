/** Changes of schemas: ids and versions that are never used again, and what is refused with which reason. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  changeSchema,
  FEATURES_EVER_MAX,
  type FeatureSpec,
  featuresAt,
  type GroupSchema,
  SCHEMA_VERSIONS_MAX,
  validateGroupChange,
  validateSchema,
} from '../../protocol/index.ts';
import { refusal } from './frames.ts';
import { schemaOf } from './sample-schemas.ts';

const NOW = 1_700_000_000_000_000;
const FIRST = schemaOf([
  { name: 'a', type: 'int16' },
  { name: 'b', type: 'string' },
]);

function changed(schema: GroupSchema, change: unknown): GroupSchema {
  const after = changeSchema(schema, validateGroupChange(change), NOW);
  // What a change makes is a schema that catalogs and peers take.
  assert.deepEqual(validateSchema(JSON.parse(JSON.stringify(after))), after);
  return after;
}

function idsAt(schema: GroupSchema, version: number): number[] {
  return featuresAt(schema, version).map((feature) => feature.id);
}

function integers(prefix: string, count: number): FeatureSpec[] {
  return Array.from(
    { length: count },
    (_, index): FeatureSpec => ({ name: `${prefix}${index}`, type: 'int8' }),
  );
}

test('features are added at the end and dropped, ids are never used again, and old versions stay known', () => {
  const second = changed(FIRST, { add: [{ name: 'c', type: 'bool', default: true }] });
  const third = changed(second, { drop: ['a', 'c'] });
  const fourth = changed(third, { add: [{ name: 'a', type: 'int16' }] });
  assert.deepEqual(
    [1, 2, 3, 4, 5].map((version) => idsAt(fourth, version)),
    [[1, 2], [1, 2, 3], [2], [2, 4], [2, 4]],
  );
  assert.equal(fourth.version, 4);
  assert.deepEqual(fourth.features[1], { id: 4, name: 'a', type: 'int16', since: 4 });
  assert.deepEqual(fourth.dropped, [
    { id: 1, name: 'a', type: 'int16', until: 3 },
    { id: 3, since: 2, name: 'c', type: 'bool', default: true, until: 3 },
  ]);
});

test('a feature may be dropped and added again at once: it is a new one', () => {
  const after = changed(FIRST, { drop: ['a'], add: [{ name: 'a', type: 'float64' }] });
  assert.deepEqual(
    after.features.map(({ id, name, type }) => [id, name, type]),
    [
      [2, 'b', 'string'],
      [3, 'a', 'float64'],
    ],
  );
});

test('a type change is refused and says what to do instead', () => {
  const change = (feature: FeatureSpec) => () => changed(FIRST, { add: [feature] });
  assert.throws(
    change({ name: 'a', type: 'int32' }),
    refusal('SCHEMA_INVALID', /"a" .*it is int16, and a type never changes.*another name as int32, or drop/),
  );
  assert.throws(
    change({ name: 'a', type: 'vector', length: 3 }),
    refusal('SCHEMA_INVALID', /as vector of 3/),
  );
  assert.throws(change({ name: 'a', type: 'int16' }), refusal('SCHEMA_INVALID', /it is there already/));
});

test('what would leave no schema is refused', () => {
  assert.throws(() => changed(FIRST, { drop: ['x'] }), refusal('FEATURE_NOT_FOUND', /"x"; it has: a, b/));
  assert.throws(() => changed(FIRST, { drop: ['a', 'a'] }), refusal('FEATURE_NOT_FOUND', /"a"/));
  assert.throws(() => changed(FIRST, { drop: ['a', 'b'] }), refusal('SCHEMA_INVALID', /no feature left/));
  assert.throws(
    () => changed(FIRST, { add: [{ name: 'id', type: 'bool' }] }),
    refusal('SCHEMA_INVALID', /key\[0\]/),
  );
  assert.throws(
    () =>
      changed(FIRST, { add: integers('v', 4).map(({ name }) => ({ name, type: 'vector', length: 65536 })) }),
    refusal('SCHEMA_INVALID', /a row would take/),
  );
  assert.throws(
    () => validateGroupChange({}),
    refusal('SCHEMA_INVALID', /at least one of add, drop, ttlSeconds/),
  );
  assert.throws(() => validateGroupChange({ add: [] }), refusal('SCHEMA_INVALID', /^add/));
  assert.throws(() => validateGroupChange({ ttlSeconds: -1 }), refusal('SCHEMA_INVALID', /^ttlSeconds/));
});

test('limits have codes: features at once, features ever, versions', () => {
  assert.throws(
    () => validateGroupChange({ add: integers('f', 10_000) }),
    refusal('SCHEMA_INVALID', /10000.*1 to 4096/),
  );
  assert.throws(
    () => changed(FIRST, { add: integers('f', 4095) }),
    refusal('LIMIT_EXCEEDED', /would have 4097 features; at most 4096/),
  );
  assert.equal(changed(FIRST, { add: integers('f', 4094) }).features.length, 4096);
  const last = { ...FIRST, version: SCHEMA_VERSIONS_MAX };
  assert.throws(() => changed(last, { drop: ['a'] }), refusal('LIMIT_EXCEEDED', /all 65535 versions/));
  let schema = FIRST;
  while (schema.features.at(-1)!.id + 4000 <= FEATURES_EVER_MAX) {
    const names = schema.features.map(({ name }) => name);
    schema = changeSchema(
      schema,
      validateGroupChange({ drop: names, add: integers(`r${schema.version}_`, 4000) }),
      NOW,
    );
  }
  assert.throws(
    () => changed(schema, { drop: schema.features.map(({ name }) => name), add: integers('x', 4000) }),
    refusal('LIMIT_EXCEEDED', /whose ids are not used again; at most 16384/),
  );
});

test('settings change; the same settings change nothing', () => {
  const after = changed(FIRST, { ttlSeconds: 5, latenessSeconds: 6 });
  assert.deepEqual([after.version, after.ttlSeconds, after.latenessSeconds], [2, 5, 6]);
  assert.equal(changeSchema(after, { ttlSeconds: 5 }, NOW), after);
});

test('when retention is lengthened the schema says from when on history is whole', () => {
  const day = changed(FIRST, { retentionSeconds: 86_400 });
  assert.equal(day.historyFromMicros, undefined, 'shorter than all of it');
  const week = changed(day, { retentionSeconds: 7 * 86_400 });
  assert.equal(week.historyFromMicros, NOW - 86_400e6);
  const hour = changed(week, { retentionSeconds: 3600 });
  const all = changed(hour, { retentionSeconds: 0 });
  assert.equal(all.historyFromMicros, NOW - 3600e6);
});

test('when writes may be later, the schema says from which event time on puts are taken', () => {
  const week = 604_800;
  const day = changed(FIRST, { retentionSeconds: 86_400 });
  assert.equal(day.putsFromMicros, undefined, 'earlier than before');
  const month = changed(day, { latenessSeconds: 30 * 86_400 });
  assert.equal(month.putsFromMicros, NOW - week * 1e6);
  assert.equal(changed(month, { latenessSeconds: 60 }).putsFromMicros, NOW - week * 1e6, 'it never falls');
  const all = changed(changed(month, { latenessSeconds: 60 }), { retentionSeconds: 0 });
  assert.equal(all.putsFromMicros, NOW - 86_400e6);
});
