/** Newest by (event time, LSN) wins, whatever the order in which versions are applied. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { arenaOf } from '../../storage/arena.ts';
import { WHERE_LEVEL_ZERO } from '../../storage/index-entry.ts';
import { IndexTable } from '../../storage/index-table.ts';
import { FLAG_HISTORY_ONLY, KIND_DELETE, KIND_PUT, writeRecordHeader } from '../../storage/record.ts';
import { applyRecord } from '../../storage/row-index.ts';
import { RESULT_APPLIED, RESULT_HISTORY, RESULT_SUPERSEDED } from '../../storage/write-request.ts';

const DIGEST_LO = 0x1234_5005;
const DIGEST_HI = 0x8765_4321;

interface Version {
  readonly eventTime: number;
  readonly lsn: number;
  readonly kind?: number;
  readonly key?: string;
  readonly flags?: number;
}

function apply(index: IndexTable, version: Version, block: number): number {
  const arena = arenaOf(new Uint8Array(64));
  const key = Buffer.from(version.key ?? 'k');
  const kind = version.kind ?? KIND_PUT;
  const { eventTime, lsn, flags } = version;
  writeRecordHeader(
    arena.view,
    0,
    56,
    1,
    kind,
    DIGEST_LO,
    DIGEST_HI,
    eventTime,
    lsn,
    1,
    0,
    key.length,
    flags,
  );
  arena.bytes.set(key, 48);
  return applyRecord(index, 5, arena, 0, WHERE_LEVEL_ZERO, block, 48);
}

const VERSIONS: Version[] = [
  { eventTime: 10, lsn: 1 },
  { eventTime: 30, lsn: 2 },
  { eventTime: 30, lsn: 3, kind: KIND_DELETE },
  { eventTime: 20, lsn: 4 },
];

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, at) =>
    permutations([...items.slice(0, at), ...items.slice(at + 1)]).map((rest) => [item, ...rest]),
  );
}

test('every order of the same versions ends at the same entry', () => {
  for (const order of permutations(VERSIONS)) {
    const index = new IndexTable({ partitionCount: 8 });
    for (const version of order) apply(index, version, version.lsn);
    assert.equal(index.rowCount, 1);
    const handle = index.find(5, DIGEST_HI, DIGEST_LO, 1);
    assert.equal(index.lsn(handle), 3);
    assert.equal(index.block(handle), 3);
    assert.equal(index.isTombstone(handle), true);
  }
});

test('a version is superseded by a later event and applied over an earlier one', () => {
  const index = new IndexTable({ partitionCount: 8 });
  const results = VERSIONS.map((version) => apply(index, version, version.lsn));
  assert.deepEqual(results, [RESULT_APPLIED, RESULT_APPLIED, RESULT_APPLIED, RESULT_SUPERSEDED]);
});

test('two keys that share a digest have an entry each', () => {
  const index = new IndexTable({ partitionCount: 8 });
  apply(index, { eventTime: 1, lsn: 1, key: 'one' }, 1);
  apply(index, { eventTime: 1, lsn: 2, key: 'two' }, 2);
  assert.equal(index.rowCount, 2);
});

test('a version that is history only leaves the index as it is', () => {
  const index = new IndexTable({ partitionCount: 8 });
  assert.equal(apply(index, { eventTime: 9, lsn: 1, flags: FLAG_HISTORY_ONLY }, 1), RESULT_HISTORY);
  assert.equal(index.rowCount, 0);
  apply(index, { eventTime: 5, lsn: 2 }, 2);
  assert.equal(apply(index, { eventTime: 9, lsn: 3, flags: FLAG_HISTORY_ONLY }, 3), RESULT_HISTORY);
  assert.equal(index.lsn(index.find(5, DIGEST_HI, DIGEST_LO, 1)), 2);
});
