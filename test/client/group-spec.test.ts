/** Group declarations: the short form and the array form say the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toGroupSpec } from '../../client/group-spec.ts';
import { ProtocolError } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';

test('the short form becomes the arrays that travel, in the order written', () => {
  const spec = toGroupSpec({
    name: 'route',
    key: { origin: 'string', destination: 'string' },
    features: {
      delay: 'float32',
      embedding: { type: 'vector', length: 16 },
      tags: { type: 'list', item: 'string' },
      count: { type: 'int32' },
    },
    ttlSeconds: 60,
  });
  assert.deepEqual(spec.key, [
    { name: 'origin', type: 'string' },
    { name: 'destination', type: 'string' },
  ]);
  assert.deepEqual(spec.features, [
    { name: 'delay', type: 'float32' },
    { name: 'embedding', type: 'vector', length: 16 },
    { name: 'tags', type: 'list', item: 'string' },
    { name: 'count', type: 'int32' },
  ]);
  assert.equal(spec.ttlSeconds, 60);
});

test('the array form is taken as it is', () => {
  const key = [{ name: '1', type: 'string' as const }];
  const features = [
    { name: '9', type: 'int8' as const },
    { name: '2', type: 'int8' as const },
  ];
  const spec = toGroupSpec({ name: 'g', key, features });
  assert.deepEqual(spec.key, key);
  assert.deepEqual(spec.features, features);
});

test('names whose order an object would lose are refused in the short form', () => {
  const spec = { name: 'g', key: { id: 'int64' }, features: { '9': 'int8', '2': 'int8' } } as const;
  assert.throws(() => toGroupSpec(spec), failure('SCHEMA_INVALID', /as an array/));
  const single = { name: 'g', key: { '7': 'int64' }, features: { a: 'int8' } } as const;
  assert.equal(toGroupSpec(single).key[0]!.name, '7');
});

test('a wrong declaration is refused before anything is sent', () => {
  const code = (error: unknown): boolean => error instanceof ProtocolError && error.code === 'SCHEMA_INVALID';
  assert.throws(() => toGroupSpec({ name: 'g', key: {}, features: { a: 'int8' } }), code);
  assert.throws(() => toGroupSpec({ name: '', key: { id: 'int64' }, features: { a: 'int8' } }), code);
  const features = { v: { type: 'vector', length: 0 } } as const;
  assert.throws(() => toGroupSpec({ name: 'g', key: { id: 'int64' }, features }), code);
});
