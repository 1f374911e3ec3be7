/** The groups of a thread: found by id and name, gone when dropped, and what the store is told of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeSchema, type GroupSpec, schemaFromSpec, validateGroupSpec } from '../../protocol/index.ts';
import { GroupTable } from '../../server/group-table.ts';

function schema(id: number, changes: Partial<GroupSpec> = {}) {
  const spec = {
    name: `g${id}`,
    key: [{ name: 'id', type: 'int64' }],
    features: [{ name: 'a', type: 'float32' }],
    ...changes,
  };
  return schemaFromSpec(validateGroupSpec(spec), id, 0);
}

test('a group is found by id and by name until it is dropped', () => {
  const table = new GroupTable([schema(1)]);
  table.add(schema(2));
  assert.equal(table.byId(2), table.byName('g2'));
  table.remove(2);
  assert.throws(() => table.byId(2), { code: 'GROUP_NOT_FOUND' });
  assert.throws(() => table.byName('g2'), { code: 'GROUP_NOT_FOUND' });
  assert.equal(table.byId(1).schema.name, 'g1');
});

test('the store is told in microseconds, and that 0 seconds of retention are all history', () => {
  const table = new GroupTable([
    schema(1),
    schema(2, { retentionSeconds: 60, latenessSeconds: 5, durability: 'memory' }),
  ]);
  assert.deepEqual(table.policyOf(1), {
    retentionMicros: Number.POSITIVE_INFINITY,
    latenessMicros: 604_800e6,
    durability: 'journal',
  });
  assert.deepEqual(table.policyOf(2), { retentionMicros: 60e6, latenessMicros: 5e6, durability: 'memory' });
  table.remove(1);
  assert.equal(table.policyOf(1), undefined);
});

test('a changed group is the new one under both names, and knows the layouts of all its versions', () => {
  const table = new GroupTable([schema(1)]);
  const before = table.byId(1);
  table.change(changeSchema(before.schema, { add: [{ name: 'b', type: 'int8' }], latenessSeconds: 1 }, 0));
  const after = table.byName('g1');
  assert.equal(table.byId(1), after);
  assert.deepEqual(
    [after.layouts.of(1)?.slots.length, after.layouts.of(2)?.slots.length, after.layouts.of(3)],
    [1, 2, undefined],
  );
  assert.equal(table.policyOf(1)?.latenessMicros, 1e6);
  // Who began before the change, a scan say, meets rows of the new version too.
  assert.equal(before.layouts.of(2), after.layout);
  assert.equal(before.layout.slots.length, 1);
});
