/** Column types as text, and what key and feature each becomes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  featureOf,
  formatColumnType,
  keyTypeOf,
  parseColumnType,
} from '../../../connectors/files/column-type.ts';

test('parsing and formatting a type are inverse', () => {
  for (const text of [
    'bool',
    'int32',
    'float64',
    'uuid',
    'msgpack',
    'vector(384)',
    'list<string>',
    'list<int8>',
  ]) {
    assert.equal(formatColumnType(parseColumnType(text)), text);
  }
});

test('a type that is none names those that are', () => {
  for (const text of [
    'integer',
    'vector',
    'vector(0)',
    'vector(x)',
    'list',
    'list<bytes>',
    'list<list<int8>>',
    '',
  ]) {
    assert.throws(
      () => parseColumnType(text),
      { code: 'USAGE', message: /vector\(LENGTH\) and list<ITEM>/ },
      text,
    );
  }
});

test('every integer is an int64 key; floats and nested values are no keys', () => {
  assert.equal(keyTypeOf({ type: 'int8' }), 'int64');
  assert.equal(keyTypeOf({ type: 'uuid' }), 'uuid');
  assert.equal(keyTypeOf({ type: 'timestamp' }), 'timestamp');
  for (const type of ['bool', 'float32', 'msgpack'] as const) assert.equal(keyTypeOf({ type }), undefined);
});

test('a feature keeps its length or item, and a uuid is its text', () => {
  assert.deepEqual(featureOf('v', { type: 'vector', length: 3 }), { name: 'v', type: 'vector', length: 3 });
  assert.deepEqual(featureOf('l', { type: 'list', item: 'int8' }), { name: 'l', type: 'list', item: 'int8' });
  assert.deepEqual(featureOf('u', { type: 'uuid' }), { name: 'u', type: 'string' });
});
