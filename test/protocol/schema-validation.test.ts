/** Specs and schemas from outside are taken whole or refused with the field, what stood there and what may. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validateGroupName, validateGroupSpec, validateSchema } from '../../protocol/index.ts';
import { refusal } from './frames.ts';
import { EVERY_TYPE, schemaOf } from './sample-schemas.ts';

type Fields = Record<string, unknown>;

const VALID: Fields = {
  name: 'user',
  key: [{ name: 'id', type: 'int64' }],
  features: [{ name: 'age', type: 'int16' }],
};

function spec(changes: Fields): unknown {
  return { ...VALID, ...changes };
}

function refuses(value: unknown, message: RegExp): void {
  assert.throws(() => validateGroupSpec(value), refusal('SCHEMA_INVALID', message));
}

test('a valid spec comes back with the defaults and without unknown fields', () => {
  assert.deepEqual(validateGroupSpec(spec({ ifNotExists: true, colour: 'red' })), {
    ...VALID,
    eventTimeName: 'event_time',
    ttlSeconds: 0,
    retentionSeconds: 0,
    latenessSeconds: 604_800,
    durability: 'journal',
  });
});

test('null stands for absent, and 64-bit integers of other languages are numbers', () => {
  const validated = validateGroupSpec(
    spec({
      eventTimeName: null,
      ttlSeconds: 60n,
      features: [{ name: 'a', type: 'bool', length: null, item: null }],
    }),
  );
  assert.equal(validated.ttlSeconds, 60);
  assert.deepEqual(validated.features, [{ name: 'a', type: 'bool' }]);
});

test('what is no object is refused', () => {
  for (const value of [null, undefined, 1, 'x', [], new Uint8Array(2)])
    refuses(value, /group: got .*allowed: an object/);
});

test('names are non-empty, short, well-formed and without control characters', () => {
  refuses(spec({ name: '' }), /^name: got "" \(string\); allowed: a non-empty string/);
  refuses(spec({ name: 5 }), /^name: got 5 \(number\)/);
  refuses(spec({ name: 'é'.repeat(65) }), /at most 128 bytes of UTF-8, this has 130/);
  refuses(spec({ name: 'a\u0000' }), /control characters/);
  refuses(spec({ name: '\ud800' }), /well-formed/);
  refuses(spec({ name: '__proto__' }), /reserved/);
  refuses(spec({ eventTimeName: '' }), /^eventTimeName/);
  assert.equal(validateGroupSpec(spec({ name: 'é'.repeat(64) })).name.length, 64);
  assert.equal(validateGroupName('ok'), 'ok');
  assert.throws(() => validateGroupName(''), refusal('SCHEMA_INVALID', /group name/));
});

test('no two of key columns, features and the event time share a name', () => {
  const feature = { name: 'age', type: 'bool' };
  refuses(spec({ features: [feature, feature] }), /features\[1\]\.name: got "age".*features\[0\]\.name/);
  refuses(spec({ key: [{ name: 'age', type: 'int64' }] }), /features\[0\]\.name: got "age".*key\[0\]\.name/);
  refuses(spec({ key: [VALID, VALID].map(() => ({ name: 'id', type: 'int64' })) }), /key\[1\]\.name/);
  refuses(spec({ eventTimeName: 'age' }), /features\[0\]\.name: got "age".*eventTimeName/);
  refuses(spec({ features: [{ name: 'event_time', type: 'bool' }] }), /eventTimeName/);
});

test('counts have bounds', () => {
  refuses(spec({ key: [] }), /^key: got an array of 0; allowed: an array of 1 to 16/);
  refuses(spec({ features: [] }), /^features: .*1 to 4096/);
  refuses(spec({ features: undefined }), /^features: got undefined/);
  const many = (count: number): unknown[] =>
    Array.from({ length: count }, (_, index) => ({ name: `f${index}`, type: 'int8' }));
  refuses(spec({ features: many(4097) }), /an array of 4097/);
  assert.equal(validateGroupSpec(spec({ features: many(4096) })).features.length, 4096);
  refuses(spec({ key: many(17) }), /an array of 17/);
  // A hole in an array is no column.
  refuses(spec({ features: new Array(2) }), /^features\[0\]: got undefined/);
});

test('types are of the closed sets', () => {
  refuses(
    spec({ key: [{ name: 'k', type: 'float64' }] }),
    /key\[0\]\.type: .*int64, string, bytes, uuid, timestamp/,
  );
  refuses(spec({ features: [{ name: 'f', type: 'uint8' }] }), /features\[0\]\.type: got "uint8"/);
  refuses(spec({ features: [{ name: 'f', type: 'list', item: 'list' }] }), /features\[0\]\.item: .*string/);
  refuses(spec({ features: [{ name: 'f', type: 'list' }] }), /features\[0\]\.item: got undefined/);
  refuses(spec({ features: [{ name: 'f', type: 'toString' }] }), /features\[0\]\.type/);
});

test('length stands with vectors and item with lists, and nowhere else', () => {
  refuses(spec({ features: [{ name: 'f', type: 'vector' }] }), /length: got undefined.*1 to 65536/);
  for (const length of [0, -1, 1.5, 65537, '8', Number.NaN]) {
    refuses(spec({ features: [{ name: 'f', type: 'vector', length }] }), /features\[0\]\.length/);
  }
  refuses(spec({ features: [{ name: 'f', type: 'int8', length: 4 }] }), /only a vector/);
  refuses(spec({ features: [{ name: 'f', type: 'int8', item: 'bool' }] }), /only a list/);
});

test('a row whose variable values are all null must fit', () => {
  const vectors = Array.from({ length: 4 }, (_, index) => ({
    name: `v${index}`,
    type: 'vector',
    length: 65536,
  }));
  refuses(spec({ features: vectors }), /a row would take 1048592 bytes.*at most 1048576/);
  assert.ok(validateGroupSpec(spec({ features: vectors.slice(1) })));
});

test('times are whole seconds within bounds', () => {
  for (const ttlSeconds of [-1, 0.5, 1_000_000_001, 'x', Number.POSITIVE_INFINITY]) {
    refuses(spec({ ttlSeconds }), /^ttlSeconds/);
  }
  refuses(spec({ retentionSeconds: -1 }), /^retentionSeconds/);
  for (const latenessSeconds of [-1, 1.5, 9_000_000_001])
    refuses(spec({ latenessSeconds }), /^latenessSeconds/);
  assert.equal(validateGroupSpec(spec({ latenessSeconds: 0 })).latenessSeconds, 0);
});

test('durability is one of two words', () => {
  assert.equal(validateGroupSpec(spec({ durability: 'memory' })).durability, 'memory');
  refuses(
    spec({ durability: 'disk' }),
    /^durability: got "disk" \(string\); allowed: one of journal, memory/,
  );
});

test('a schema of every type is taken as it is', () => {
  const schema = schemaOf(EVERY_TYPE);
  assert.deepEqual(validateSchema(structuredClone(schema)), schema);
});

test('a schema has ids and versions within bounds, and no feature id twice', () => {
  const schema = schemaOf(EVERY_TYPE);
  const refusesSchema = (changes: Fields, message: RegExp): void => {
    assert.throws(() => validateSchema({ ...schema, ...changes }), refusal('SCHEMA_INVALID', message));
  };
  refusesSchema({ id: 0 }, /^id: got 0 \(number\); allowed: an integer from 1 to 4095/);
  refusesSchema({ id: 4096 }, /^id/);
  refusesSchema({ version: 0 }, /^version/);
  refusesSchema({ createdAtMicros: -1 }, /^createdAtMicros/);
  refusesSchema({ features: [{ name: 'f', type: 'bool' }] }, /features\[0\]\.id: got undefined/);
  refusesSchema(
    {
      features: [
        { id: 3, name: 'f', type: 'bool' },
        { id: 3, name: 'g', type: 'bool' },
      ],
    },
    /features\[1\]\.id: got 3/,
  );
});
