/** Merges follow their group: its newest schema, and its end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { add, ByteWriter, compileLayout, decodeRow, encodePatch, encodeRow } from '../../protocol/index.ts';
import { GroupTable } from '../../server/group-table.ts';
import { PatchMerges } from '../../server/patch-merges.ts';
import { arenaOf } from '../../storage/arena.ts';
import { bytesOf } from '../protocol/frames.ts';
import { schemaOf } from '../protocol/sample-schemas.ts';

const GROUP = schemaOf([
  { name: 'n', type: 'int32' },
  { name: 's', type: 'string' },
]);
const LAYOUT = compileLayout(GROUP);

test('a merge reads its base from an arena, and patches of several buffers', () => {
  const merge = new PatchMerges(new GroupTable([GROUP])).of(GROUP.id);
  const row = bytesOf((writer) => encodeRow(LAYOUT, { n: 1, s: 'x' }, writer));
  const bytes = new Uint8Array(8 + row.length);
  bytes.set(row, 8);
  for (const n of [2, 3]) {
    const patch = bytesOf((writer) => encodePatch(LAYOUT, { n: add(n) }, writer));
    const merged = merge(arenaOf(bytes), 8, bytes.length, patch, 0, patch.length) as Uint8Array;
    const view = new DataView(merged.buffer, merged.byteOffset, merged.length);
    assert.deepEqual(decodeRow(LAYOUT, view, 0), { n: 1 + n, s: 'x' });
  }
});

test('a merge follows its group’s schema: rows of before are carried on in the newest version', () => {
  const groups = new GroupTable([GROUP]);
  const merge = new PatchMerges(groups).of(GROUP.id);
  const patch = bytesOf((writer) => encodePatch(LAYOUT, { n: add(1) }, writer));
  const row = Uint8Array.from(merge(null, 0, 0, patch, 0, patch.length) as Uint8Array);
  const added = { id: 3, name: 'b', type: 'int8' as const, default: 7, since: 2 };
  const changed = { ...GROUP, version: 2, features: [...GROUP.features, added] };
  groups.change(changed);
  const merged = merge(arenaOf(row), 0, row.length, patch, 0, patch.length) as Uint8Array;
  const view = new DataView(merged.buffer, merged.byteOffset, merged.length);
  assert.deepEqual(decodeRow(compileLayout(changed), view, 0), { n: 2, s: null, b: 7 });
});

test('the merge of a group that was dropped meanwhile refuses', () => {
  const groups = new GroupTable([GROUP]);
  const merge = new PatchMerges(groups).of(GROUP.id);
  const writer = new ByteWriter();
  encodePatch(LAYOUT, { n: add(1) }, writer);
  groups.remove(GROUP.id);
  assert.equal(merge(null, 0, 0, writer.bytes, 0, writer.length), 'PATCH_INVALID');
});
