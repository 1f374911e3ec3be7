/** A schema made from a spec has ids from 1, version 1 and the defaults. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaFromSpec, validateSchema } from '../../protocol/index.ts';

test('a spec becomes a schema with ids in its order', () => {
  const schema = schemaFromSpec(
    {
      name: 'user',
      key: [{ name: 'id', type: 'int64' }],
      features: [
        { name: 'age', type: 'int16' },
        { name: 'embedding', type: 'vector', length: 8 },
        { name: 'tags', type: 'list', item: 'string' },
      ],
    },
    9,
    123,
  );
  assert.deepEqual(schema, {
    id: 9,
    name: 'user',
    version: 1,
    key: [{ name: 'id', type: 'int64' }],
    features: [
      { id: 1, name: 'age', type: 'int16' },
      { id: 2, name: 'embedding', type: 'vector', length: 8 },
      { id: 3, name: 'tags', type: 'list', item: 'string' },
    ],
    eventTimeName: 'event_time',
    ttlSeconds: 0,
    retentionSeconds: 0,
    latenessSeconds: 604_800,
    durability: 'journal',
    createdAtMicros: 123,
  });
  assert.deepEqual(validateSchema(schema), schema);
});

test('what the spec says of times and names is kept', () => {
  const schema = schemaFromSpec(
    {
      name: 'g',
      key: [{ name: 'k', type: 'string' }],
      features: [{ name: 'f', type: 'bool' }],
      eventTimeName: 'at',
      ttlSeconds: 60,
      retentionSeconds: 3600,
    },
    1,
    0,
  );
  assert.equal(schema.eventTimeName, 'at');
  assert.equal(schema.ttlSeconds, 60);
  assert.equal(schema.retentionSeconds, 3600);
});
