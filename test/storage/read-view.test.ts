/** What reads of partitions see, latest and as of moments: against a slow model, over random versions wherever they lie. */
import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { loadChecksum } from '../../storage/checksum.ts';
import { assertHistory, LATEST, type ReadView } from '../../storage/read-view.ts';
import { SnapshotReader } from '../../storage/snapshot.ts';
import { VersionMerge } from '../../storage/version-merge.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { encodeRecords, MemoryBlockStore, type StoredRecord } from '../support/stored-records.ts';

before(loadChecksum);

const PARTITIONS: readonly number[] = [3, 4, 9];
/** Times straddle a multiple of 2^32 µs, and 0, so that both words of a time decide. */
const BASES: readonly number[] = [-20, 0, 3 * 2 ** 32 - 20, 1e15];

function seen(
  store: MemoryBlockStore,
  buffered: readonly StoredRecord[],
  view: ReadView,
  nowSeconds: number,
): string[] {
  const merge = new VersionMerge();
  const partitions = Uint16Array.from(PARTITIONS);
  const reader = new SnapshotReader(store, 1);
  const step = reader.open(store.flushNumber, 1, partitions, encodeRecords(buffered), merge, view)!;
  while (!step.advance());
  merge.finish(step.partitionCount, nowSeconds);
  assert.equal(step.partitionCount, PARTITIONS.length);
  const { view: bytes } = merge.arena;
  return Array.from({ length: merge.count }, (_, row) => {
    const at = merge.places[row]! * 8;
    return `${merge.partitionAt(row)} ${bytes.getUint32(at + 12, true)} ${Number(bytes.getBigUint64(at + 24, true))}`;
  });
}

function modelled(versions: readonly StoredRecord[], view: ReadView, nowSeconds: number): string[] {
  const newest = new Map<string, StoredRecord>();
  for (const version of versions) {
    const { bounds } = view;
    if (bounds === null && version.isHistoryOnly) continue;
    if (bounds !== null && version.eventTimeMicros > bounds.asOfMicros) continue;
    if (bounds !== null && version.commitTimeMicros! > bounds.readPointMicros) continue;
    const name = `${version.partition} ${version.digestHi}`;
    const best = newest.get(name);
    const isNewer =
      best === undefined ||
      version.eventTimeMicros > best.eventTimeMicros ||
      (version.eventTimeMicros === best.eventTimeMicros && version.lsn > best.lsn);
    if (isNewer) newest.set(name, version);
  }
  const second = view.bounds === null ? nowSeconds : Math.floor(view.bounds.asOfMicros / 1e6);
  return [...newest.values()]
    .filter(({ isDelete }) => !isDelete)
    .filter(({ expirySeconds }) => !expirySeconds || expirySeconds > second)
    .filter(({ commitTimeMicros }) => view.sinceMicros === null || commitTimeMicros! > view.sinceMicros)
    .sort((a, b) => a.partition - b.partition || a.digestHi - b.digestHi)
    .map(({ partition, digestHi, lsn }) => `${partition} ${digestHi} ${lsn}`);
}

function randomVersions(random: SeededRandom, base: number, count: number): StoredRecord[] {
  return Array.from({ length: count }, (_, index): StoredRecord => {
    const eventTimeMicros = base + (random.uint32() % 40);
    const isMortal = random.uint32() % 6 === 0;
    return {
      partition: PARTITIONS[random.uint32() % PARTITIONS.length]!,
      digestHi: random.uint32() % 8,
      key: 'k',
      eventTimeMicros,
      lsn: index + 1,
      commitTimeMicros: base + index,
      isDelete: random.uint32() % 6 === 0,
      isHistoryOnly: random.uint32() % 5 === 0,
      expirySeconds: isMortal ? Math.max(1, Math.floor(eventTimeMicros / 1e6)) + (random.uint32() % 2) : 0,
    };
  });
}

test('random versions in level 1, level 0 and the write buffer read as the model says', () => {
  const seed = testSeed();
  const random = new SeededRandom(seed);
  for (let round = 0; round < 150; round++) {
    const base = BASES[round % BASES.length]!;
    const versions = randomVersions(random, base, 1 + (random.uint32() % 60));
    const parts: StoredRecord[][] = [[], [], [], []];
    for (const version of versions) parts[random.uint32() % 4]!.push(version);
    const [levelOne, first, second, buffered] = parts as [
      StoredRecord[],
      StoredRecord[],
      StoredRecord[],
      StoredRecord[],
    ];
    const store = new MemoryBlockStore();
    if (first.length > 0) store.flush(first);
    if (second.length > 0) store.flush(second);
    if (levelOne.length > 0) store.levelOne(levelOne);
    // Flushed and still buffered, as a version is for a moment: seen once.
    const shown = [...buffered, ...second.slice(0, 3)];
    const moment = (): number => base - 2 + (random.uint32() % 64);
    const views: ReadView[] = [LATEST, { bounds: null, sinceMicros: moment() }];
    for (let index = 0; index < 12; index++) {
      const bounds = { asOfMicros: moment(), readPointMicros: moment() };
      views.push({ bounds, sinceMicros: index % 3 === 0 ? moment() : null });
    }
    const nowSeconds = Math.floor((base + 20) / 1e6);
    for (const view of views) {
      const context = `seed ${seed}, round ${round}, ${JSON.stringify(view)}`;
      assert.deepEqual(seen(store, shown, view, nowSeconds), modelled(versions, view, nowSeconds), context);
    }
  }
});

test('more versions than the arena holds are squeezed by what the view sees', () => {
  const payload = new Uint8Array(64 * 1024);
  const store = new MemoryBlockStore();
  const versions = Array.from(
    { length: 900 },
    (_, index): StoredRecord => ({
      partition: 3,
      digestHi: index % 4,
      key: 'k',
      eventTimeMicros: index,
      lsn: index + 1,
      commitTimeMicros: index,
      isHistoryOnly: index % 2 === 0,
      payload,
    }),
  );
  const asOf = (asOfMicros: number): ReadView => ({
    bounds: { asOfMicros, readPointMicros: 1e6 },
    sinceMicros: null,
  });
  for (const view of [LATEST, asOf(450), asOf(1e6)]) {
    assert.deepEqual(seen(store, versions, view, 0), modelled(versions, view, 0));
  }
});

test('history that the retention does not reach is expired, to the microsecond', () => {
  const now = 1_000_000;
  const view = (asOfMicros: number, readPointMicros: number): ReadView => ({
    bounds: { asOfMicros, readPointMicros },
    sinceMicros: null,
  });
  const expired = { code: 'HISTORY_EXPIRED' };
  assertHistory(LATEST, now, 0, undefined);
  assertHistory(view(400_000, 400_000), now, 600_000, undefined);
  assert.throws(() => assertHistory(view(399_999, 500_000), now, 600_000, undefined), expired);
  assert.throws(() => assertHistory(view(500_000, 399_999), now, 600_000, undefined), expired);
  assertHistory(view(-5, 0), now, Number.POSITIVE_INFINITY, undefined);
  // Lengthened: what was older when it was may be gone.
  assert.throws(() => assertHistory(view(4, 9), now, Number.POSITIVE_INFINITY, 5), expired);
  assertHistory(view(5, 9), now, Number.POSITIVE_INFINITY, 5);
});
