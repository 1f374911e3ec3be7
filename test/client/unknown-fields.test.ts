/** A declaration says nothing that is not heard: an unknown field is refused, and the nearest one named. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toGroupChange, toGroupSpec } from '../../client/group-spec.ts';
import type { GroupSpecInput } from '../../client/index.ts';
import { schemaFromSpec } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';

const SPEC = { name: 'user', key: { id: 'int64' }, features: { age: 'int16' } } as const;

function refuses(changes: object, message: RegExp): void {
  assert.throws(() => toGroupSpec({ ...SPEC, ...changes }), failure('SCHEMA_INVALID', message));
}

test('a field of a group that is misspelt is refused, with the one that was meant', () => {
  refuses({ ttl: 5 }, /^ttl: a group has no such field; did you mean ttlSeconds\? allowed: name, key, /);
  refuses({ ttl_seconds: 5 }, /^ttl_seconds: .* did you mean ttlSeconds\?/);
  refuses({ retension: 5 }, /did you mean retentionSeconds\?/);
  refuses({ durabilty: 'memory' }, /did you mean durability\?/);
  refuses({ eventTime: 'at' }, /did you mean eventTimeName\?/);
  refuses({ feature: {} }, /did you mean features\?/);
  refuses({ '': 1 }, /^: a group has no such field; did you mean key\?/);
});

test('so is one of a feature or a key column, with its path', () => {
  const vector = { type: 'vector', length: 2, dims: 3 };
  refuses({ features: { a: 'bool', v: vector } }, /^features\[1\]\.dims: a feature has no such field/);
  refuses({ features: [{ name: 'a', type: 'bool', defualt: true }] }, /did you mean default\?/);
  refuses({ key: [{ name: 'id', typ: 'int64' }] }, /^key\[0\]\.typ: .* did you mean type\?/);
});

test('a change is checked likewise', () => {
  const change = (input: object) => (): unknown => toGroupChange(input);
  assert.throws(change({ ttl: 5 }), failure('SCHEMA_INVALID', /^ttl: a change .* ttlSeconds\?/));
  assert.throws(change({ remove: ['a'] }), failure('SCHEMA_INVALID', /^remove: /));
  assert.throws(
    change({ add: { a: { type: 'int8', deflt: 0 } } }),
    failure('SCHEMA_INVALID', /add\[0\]\.deflt/),
  );
  assert.deepEqual(toGroupChange({ ttlSeconds: 5 }), { ttlSeconds: 5 });
});

test('a schema that a server gave is a declaration, and absent settings are absent', () => {
  const spec = toGroupSpec(SPEC);
  const schema = schemaFromSpec(spec, 7, 1_700_000_000_000_000);
  assert.deepEqual(toGroupSpec(schema), spec);
  assert.deepEqual(toGroupSpec({ ...SPEC, colour: undefined } as GroupSpecInput), spec);
});
