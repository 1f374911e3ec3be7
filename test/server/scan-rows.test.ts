/** A scan's rows are the same whether its blocks are read directly or fetched by other threads first. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { ScanRows } from '../../server/scan-rows.ts';
import type { BlockKey } from '../../storage/block-store.ts';
import { loadChecksum, SnapshotReader } from '../../storage/index.ts';
import { LATEST } from '../../storage/read-view.ts';
import { MemoryBlockStore } from '../support/stored-records.ts';

before(loadChecksum);

const ROWS = 4000;

/** A device: reads and prefetches take so many µs a block on the test's clock. */
class SlowStore extends MemoryBlockStore {
  micros = 1_700_000_000_000_000;
  readMicros = 0;
  fetchMicros = 0;
  fetched: string[] = [];
  #isFetched = new Set<string>();

  override openSnapshot(): ReturnType<MemoryBlockStore['openSnapshot']> {
    const snapshot = super.openSnapshot();
    const charge = (keyHi: number, keyLo: number): void => {
      if (!this.#isFetched.delete(`${keyHi}/${keyLo}`)) this.micros += this.readMicros;
    };
    return {
      ...snapshot,
      read: (keyHi, keyLo) => {
        charge(keyHi, keyLo);
        return snapshot.read(keyHi, keyLo);
      },
      scan: (fromHi, fromLo, toHi, toLo, visit) =>
        snapshot.scan(fromHi, fromLo, toHi, toLo, (keyHi, keyLo, bytes) => {
          charge(keyHi, keyLo);
          return visit(keyHi, keyLo, bytes);
        }),
    };
  }

  override prefetch(keys: readonly BlockKey[] = []): Promise<void> {
    for (const { keyHi, keyLo } of keys) {
      this.#isFetched.add(`${keyHi}/${keyLo}`);
      this.fetched.push(`${keyHi}/${keyLo}`);
    }
    this.micros += keys.length * this.fetchMicros;
    return Promise.resolve();
  }
}

/** 4000 rows of half a block each: the first half in level 0, the others in level 1. */
function filled(): SlowStore {
  const store = new SlowStore();
  const records = Array.from({ length: ROWS }, (_, id) => ({
    partition: id & 4095,
    digestHi: id,
    key: `${id}`,
    eventTimeMicros: 1000,
    lsn: 1,
    payload: new Uint8Array(1800),
  }));
  store.flush(records.slice(0, ROWS / 2));
  store.levelOne(records.slice(ROWS / 2));
  return store;
}

async function rowsOf(store: SlowStore): Promise<number> {
  const all = Uint16Array.from({ length: 4096 }, (_, partition) => partition);
  let wake = (): void => undefined;
  const source = {
    reader: new SnapshotReader(store, 1),
    peer: {
      ask: (_group: number, _partitions: Uint16Array, done: (error: null, answer: object) => void): void =>
        done(null, { flushNumber: store.flushNumber, bytes: new Uint8Array(0) }),
    },
    nowMicros: () => store.micros,
    after: () => () => undefined,
  };
  const rows = new ScanRows(source as never, 1, all, LATEST, () => wake());
  let count = 0;
  for (;;) {
    const progress = rows.advance();
    if (progress === 'end') return count;
    if (progress === 'rows') {
      count += rows.merge.count - rows.row;
      rows.row = rows.merge.count;
    }
    if (progress === 'waiting') {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
}

test('blocks that come from memory are read directly', async () => {
  const store = filled();
  store.readMicros = 3;
  assert.equal(await rowsOf(store), ROWS);
  assert.deepEqual(store.fetched, []);
});

test('blocks that come from a device are fetched before they are read, each once', async () => {
  const store = filled();
  store.readMicros = 80;
  store.fetchMicros = 20;
  assert.equal(await rowsOf(store), ROWS);
  assert.ok(store.fetched.length > ROWS / 4, `${store.fetched.length} blocks`);
  assert.equal(new Set(store.fetched).size, store.fetched.length);
});

test('blocks whose fetching proves needless are read directly again', async () => {
  const store = filled();
  store.readMicros = 80;
  store.fetchMicros = 1;
  const fetching = rowsOf(store);
  store.readMicros = 3;
  assert.equal(await fetching, ROWS);
  assert.ok(store.fetched.length < ROWS / 2, `${store.fetched.length} blocks`);
});
