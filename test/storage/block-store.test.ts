/** The block store: transactions, order, snapshots in this and other threads, and what it does when it cannot write. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { nodeDisk } from '../../server/node-environment.ts';
import { type BlockReader, type BlockStore, openBlockStore } from '../../storage/block-store.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { ReaderRequest } from './block-store-reader.ts';

const SEED = testSeed();
console.log(`seed ${SEED}`);

function keysOf(store: Pick<BlockStore, 'scan'>, from: [number, number], to: [number, number]): string[] {
  const keys: string[] = [];
  store.scan(...from, ...to, (keyHi, keyLo) => {
    keys.push(`${keyHi}/${keyLo}`);
    return undefined;
  });
  return keys;
}

test('values of any size come back when written, and after the store was opened again', async (context) => {
  const directory = temporaryDirectory(context);
  const random = new SeededRandom(SEED);
  const values = [1, 8, 4072, 4073, 100_000, 3 * 2 ** 20].map((length) => random.bytes(length));
  let store = openBlockStore({ directory });
  await store.write(values.map((bytes, index) => ({ keyHi: 0xfff00000, keyLo: 0xfffffff0 + index, bytes })));
  for (let opening = 0; opening < 2; opening++) {
    for (const [index, bytes] of values.entries()) {
      const value = store.read(0xfff00000, 0xfffffff0 + index)!;
      assert.equal(value.length, bytes.length);
      assert.equal(value.byteLength, bytes.length, 'a view of the value, not of the buffer behind it');
      assert.deepEqual(value.slice(), bytes);
    }
    assert.equal(store.read(0xfff00000, 0), undefined);
    assert.equal(store.read(0, 0xfffffff0), undefined);
    await store.close();
    store = openBlockStore({ directory });
  }
  await store.close();
});

test('a scan visits a range of keys in order, with the right values, until it is told to stop', async (context) => {
  const store = openBlockStore({ directory: temporaryDirectory(context) });
  const keys: [number, number][] = [
    [0, 1],
    [256, 1],
    [256, 0x80000000],
    [256, 0xfffffffe],
    [1 << 20, 7],
    [0x80000000, 3],
    [0xffffff00, 0],
  ];
  const shuffled = keys.toReversed();
  await store.write(
    shuffled.map(([keyHi, keyLo]) => ({ keyHi, keyLo, bytes: Uint8Array.of(keyHi >>> 24, keyLo) })),
  );
  const names = keys.map(([keyHi, keyLo]) => `${keyHi}/${keyLo}`);
  assert.deepEqual(keysOf(store, [0, 0], [0xffffffff, 0]), names);
  assert.deepEqual(keysOf(store, [256, 1], [256, 0xfffffffe]), names.slice(1, 3));
  assert.deepEqual(keysOf(store, [256, 2], [1 << 20, 7]), names.slice(2, 4));
  assert.deepEqual(keysOf(store, [257, 0], [1 << 20, 0]), []);
  store.scan(0, 0, 0xffffffff, 0, (keyHi, keyLo, bytes) => {
    assert.deepEqual([...bytes], [keyHi >>> 24, keyLo & 0xff]);
    return undefined;
  });
  let visits = 0;
  store.scan(0, 0, 0xffffffff, 0, () => {
    visits += 1;
    return visits === 3 ? false : undefined;
  });
  assert.equal(visits, 3);
  assert.throws(() =>
    store.scan(0, 0, 0xffffffff, 0, () => {
      throw new Error('from the visitor');
    }),
  );
  assert.equal(
    keysOf(store, [0, 0], [0xffffffff, 0]).length,
    keys.length,
    'a scan that was left can be begun again',
  );
  await store.close();
});

test('the writing thread sees what a resolved write has written, whatever it read meanwhile', async (context) => {
  const store = openBlockStore({ directory: temporaryDirectory(context) });
  for (let round = 1; round <= 200; round++) {
    const before = store.read(1, 1)?.[0];
    const written = store.write([{ keyHi: 1, keyLo: 1, bytes: Uint8Array.of(round % 250) }]);
    assert.equal(store.read(1, 1)?.[0], before, 'not before it is durable');
    let isDone = false;
    void written.then(() => {
      isDone = true;
    });
    while (!isDone) {
      assert.ok([before, round % 250].includes(store.read(1, 1)?.[0]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(store.read(1, 1)?.[0], round % 250);
    assert.equal(keysOf(store, [0, 0], [9, 0]).length, 1);
  }
  await store.close();
});

test('writes and removals of one call are one transaction', async (context) => {
  const store = openBlockStore({ directory: temporaryDirectory(context) });
  const bytes = new Uint8Array(4072);
  await store.write([1, 2, 3, 4].map((keyLo) => ({ keyHi: 1, keyLo, bytes })));
  await store.write(
    [{ keyHi: 1, keyLo: 5, bytes }],
    [1, 2, 99].map((keyLo) => ({ keyHi: 1, keyLo })),
  );
  assert.deepEqual(keysOf(store, [0, 0], [9, 0]), ['1/3', '1/4', '1/5']);
  await store.write([], [{ keyHi: 1, keyLo: 3 }]);
  await store.write([], []);
  assert.deepEqual(keysOf(store, [0, 0], [9, 0]), ['1/4', '1/5']);
  await Promise.all([1, 2, 3].map((keyHi) => store.write([{ keyHi, keyLo: 9, bytes }])));
  assert.equal(keysOf(store, [0, 0], [9, 0]).length, 5);
  await store.close();
});

test('a block of 4072 bytes takes one page of the file, and 4080 would take two', async (context) => {
  const count = 4000;
  const pagesOf = async (length: number): Promise<number> => {
    const directory = temporaryDirectory(context);
    const store = openBlockStore({ directory });
    const bytes = new Uint8Array(length);
    for (let from = 0; from < count; from += 250) {
      await store.write(
        Array.from({ length: 250 }, (_, index) => ({ keyHi: 256, keyLo: from + index, bytes })),
      );
    }
    const pages = statSync(join(directory, 'data.mdb')).size / 4096;
    assert.ok(Math.abs(store.sizeBytes() / 4096 - pages) <= 2, 'sizeBytes is the size of the file');
    await store.close();
    return pages;
  };
  const pages = await pagesOf(4072);
  assert.ok(pages >= count && pages < 1.02 * count, `${pages} pages for ${count} blocks`);
  const pagesOfLonger = await pagesOf(4080);
  assert.ok(pagesOfLonger >= 2 * count, `${pagesOfLonger} pages for ${count} longer values`);
});

test('a snapshot stands still until it is renewed, beside others and beside the store', async (context) => {
  const store = openBlockStore({ directory: temporaryDirectory(context) });
  const put = (keyLo: number, value: number): Promise<void> =>
    store.write([{ keyHi: 5, keyLo, bytes: Uint8Array.of(value) }]);
  await put(1, 1);
  const first = store.openSnapshot();
  await put(1, 2);
  const second = store.openSnapshot();
  await put(1, 3);
  await put(2, 3);
  const seen = (): (number | undefined)[] => [first, second, store].map((reader) => reader.read(5, 1)?.[0]);
  assert.deepEqual(seen(), [1, 2, 3]);
  assert.deepEqual(seen(), [1, 2, 3], 'reads of one do not disturb the others');
  assert.deepEqual(
    [first, second, store].map((reader) => keysOf(reader, [0, 0], [9, 0]).length),
    [1, 1, 2],
  );
  first.renew();
  assert.deepEqual(seen(), [3, 2, 3]);
  assert.equal(keysOf(first, [0, 0], [9, 0]).length, 2);
  second.close();
  second.close();
  assert.throws(() => second.read(5, 1), /the snapshot is open/);
  second.renew();
  assert.deepEqual(seen(), [3, 3, 3]);
  first.close();
  second.close();
  await store.close();
});

test('snapshots let go of what they read: a file that is overwritten does not grow for ever', async (context) => {
  const store = openBlockStore({ directory: temporaryDirectory(context) });
  const bytes = new Uint8Array(4072);
  const rewrite = (): Promise<void> =>
    store.write(Array.from({ length: 100 }, (_, keyLo) => ({ keyHi: 1, keyLo, bytes })));
  const snapshot = store.openSnapshot();
  for (let round = 0; round < 10; round++) {
    await rewrite();
    snapshot.renew();
  }
  const settled = store.sizeBytes();
  for (let round = 0; round < 50; round++) {
    await rewrite();
    snapshot.renew();
    assert.equal(keysOf(snapshot, [1, 0], [2, 0]).length, 100);
  }
  assert.ok(store.sizeBytes() <= settled + 200 * 4096, `${settled} bytes grew to ${store.sizeBytes()}`);
  snapshot.close();
  await store.close();
});

test('another thread of the process has a snapshot of its own', async (context) => {
  const directory = temporaryDirectory(context);
  const store = openBlockStore({ directory });
  await store.write([{ keyHi: 1, keyLo: 1, bytes: Uint8Array.of(1) }]);
  const worker = new Worker(new URL('./block-store-reader.js', import.meta.url), { workerData: directory });
  const ask = async (request: ReaderRequest): Promise<number> => {
    worker.postMessage(request);
    const [answer] = (await once(worker, 'message')) as [number];
    return answer;
  };
  await once(worker, 'message');
  assert.equal(await ask({ what: 'read', keyHi: 1, keyLo: 1 }), 1);
  for (let value = 2; value <= 40; value++) {
    await store.write([
      { keyHi: 1, keyLo: 1, bytes: Uint8Array.of(value) },
      { keyHi: 2, keyLo: value, bytes: Uint8Array.of(value) },
    ]);
    assert.equal(await ask({ what: 'read', keyHi: 1, keyLo: 1 }), value - 1, 'as it was');
    assert.equal(await ask({ what: 'scan' }), value - 1);
    await ask({ what: 'renew' });
    assert.equal(await ask({ what: 'read', keyHi: 1, keyLo: 1 }), value, 'as it is');
    assert.equal(await ask({ what: 'scan' }), value);
    assert.equal(store.read(1, 1)?.[0], value);
  }
  await ask({ what: 'close' });
  await once(worker, 'exit');
  await store.write([{ keyHi: 1, keyLo: 1, bytes: Uint8Array.of(99) }]);
  assert.equal(store.read(1, 1)?.[0], 99, 'the store outlives the thread that read it');
  await store.close();
});

test('a thread reads while another writes, and sees whole transactions only', async (context) => {
  const directory = temporaryDirectory(context);
  const store = openBlockStore({ directory });
  const writeAll = (value: number): Promise<void> =>
    store.write(
      Array.from({ length: 64 }, (_, keyLo) => ({
        keyHi: 1,
        keyLo,
        bytes: new Uint8Array(4072).fill(value),
      })),
    );
  await writeAll(1);
  const worker = new Worker(new URL('./block-store-reader.js', import.meta.url), { workerData: directory });
  const ask = async (request: ReaderRequest): Promise<number> => {
    worker.postMessage(request);
    const [answer] = (await once(worker, 'message')) as [number];
    return answer;
  };
  await once(worker, 'message');
  let isWriting = true;
  const writing = (async () => {
    for (let value = 2; value < 150; value++) await writeAll(value);
    isWriting = false;
  })();
  let last = 0;
  while (isWriting) {
    await ask({ what: 'renew' });
    const values = new Set<number>();
    for (const keyLo of [0, 31, 63]) values.add(await ask({ what: 'read', keyHi: 1, keyLo }));
    assert.equal(values.size, 1, `one transaction, not ${[...values]}`);
    const [value = 0] = [...values];
    assert.ok(value >= last, 'time does not run backwards');
    last = value;
  }
  await writing;
  await ask({ what: 'close' });
  await once(worker, 'exit');
  await store.close();
});

test('a store that would outgrow its limit refuses the write and goes on', async (context) => {
  const store = openBlockStore({ directory: temporaryDirectory(context), mapBytes: 2 ** 20 });
  const bytes = new Uint8Array(4072);
  const write = (keyLo: number, count: number): Promise<void> =>
    store.write(Array.from({ length: count }, (_, index) => ({ keyHi: 1, keyLo: keyLo + index, bytes })));
  await write(0, 50);
  await assert.rejects(write(50, 300), { code: 'STORAGE_FULL', message: /1048576 are allowed/ });
  assert.equal(keysOf(store, [0, 0], [9, 0]).length, 50);
  await write(50, 20);
  assert.equal(keysOf(store, [0, 0], [9, 0]).length, 70);
  await store.close();
});

test('a write that the disk refuses rejects, leaves nothing visible, and is the last', (context) => {
  const directory = temporaryDirectory(context);
  const filler = fileURLToPath(new URL('./block-store-filler.js', import.meta.url));
  // 4 MiB, in units of 512 bytes or of 1 KiB, as the shell has it.
  const command = `ulimit -f 4096; exec "${process.execPath}" "${filler}" "${directory}"`;
  const child = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  assert.equal(child.status, 0, child.stderr);
  const { written, ...result } = JSON.parse(child.stdout.trim().split('\n').at(-1)!) as Record<
    string,
    unknown
  >;
  assert.ok(typeof written === 'number' && written >= 100 && written < 1100, `${written} blocks`);
  assert.deepEqual(result, { refusal: 'INTERNAL', visible: 0, second: 'INTERNAL', isReadable: true });
});

test('a damaged data file is refused, and an empty or missing one is a new store', async (context) => {
  const directory = temporaryDirectory(context);
  const path = join(directory, 'data.mdb');
  for (const damaged of [Buffer.alloc(8192, 'no database '), Buffer.alloc(100), Buffer.alloc(8192)]) {
    writeFileSync(path, damaged);
    assert.throws(() => openBlockStore({ directory, disk: nodeDisk }), {
      code: 'DATA_DIRECTORY_INVALID',
      message: /data.mdb is damaged/,
    });
  }
  writeFileSync(path, '');
  for (let opening = 0; opening < 2; opening++) {
    const store = openBlockStore({ directory, disk: nodeDisk });
    await store.write([{ keyHi: 1, keyLo: opening, bytes: Uint8Array.of(1) }]);
    assert.equal(keysOf(store, [0, 0], [9, 0]).length, opening + 1);
    await store.close();
  }
  const intact = readFileSync(path);
  intact[4096 + 24]! ^= 1;
  writeFileSync(path, intact);
  assert.throws(() => openBlockStore({ directory, disk: nodeDisk }), {
    message: /page 1 is no page of an LMDB file/,
  });
});

test('a reader does not make a store, and a directory that is none is refused', (context) => {
  const directory = temporaryDirectory(context);
  assert.throws(() => openBlockStore({ directory, readOnly: true }), { code: 'DATA_DIRECTORY_INVALID' });
  writeFileSync(join(directory, 'file'), '');
  assert.throws(() => openBlockStore({ directory: join(directory, 'file') }), {
    code: 'DATA_DIRECTORY_INVALID',
    message: /cannot open the block store/,
  });
});

test('pages that were freed are told apart from those in use', async (context) => {
  const store = openBlockStore({ directory: temporaryDirectory(context), mapBytes: 2 ** 26 });
  const block = new Uint8Array(4072);
  await store.write(Array.from({ length: 1000 }, (_, keyLo) => ({ keyHi: 256, keyLo, bytes: block })));
  const { fileBytes, reusableBytes, mapBytes } = store.space();
  assert.equal(fileBytes, store.sizeBytes());
  assert.equal(mapBytes, 2 ** 26);
  assert.ok(reusableBytes < 20 * 4096, `${reusableBytes} bytes`);
  await store.write(
    [],
    Array.from({ length: 500 }, (_, keyLo) => ({ keyHi: 256, keyLo })),
  );
  const freed = store.space().reusableBytes;
  assert.ok(freed >= 500 * 4096 && freed < 540 * 4096, `${freed} bytes`);
  await store.close();
});
test('keys are visited without their values, in a range, in the store and in a snapshot', async (context) => {
  const store = openBlockStore({ directory: temporaryDirectory(context) });
  const bytes = new Uint8Array(4072);
  const keys: [number, number][] = [
    [256, 1],
    [256, 2],
    [1 << 20, 0xfffffffe],
    [0xffffff00, 3],
  ];
  await store.write(keys.map(([keyHi, keyLo]) => ({ keyHi, keyLo, bytes })));
  const snapshot = store.openSnapshot();
  await store.write([], [{ keyHi: 256, keyLo: 2 }]);
  const namesIn = (reader: BlockReader, from: [number, number], to: [number, number]): string[] => {
    const names: string[] = [];
    reader.keys(...from, ...to, (keyHi, keyLo) => {
      names.push(`${keyHi}/${keyLo}`);
      return undefined;
    });
    return names;
  };
  const all = keys.map(([keyHi, keyLo]) => `${keyHi}/${keyLo}`);
  assert.deepEqual(namesIn(snapshot, [0, 0], [0xffffffff, 0]), all);
  assert.deepEqual(
    namesIn(store, [0, 0], [0xffffffff, 0]),
    all.filter((name) => name !== '256/2'),
  );
  assert.deepEqual(namesIn(snapshot, [256, 2], [0xffffff00, 3]), all.slice(1, 3));
  let visits = 0;
  store.keys(0, 0, 0xffffffff, 0, () => {
    visits += 1;
    return false;
  });
  assert.equal(visits, 1);
  snapshot.close();
  await store.close();
});

test('a prefetch ends whatever its keys name, and the reads after it find what the store holds', async (context) => {
  const store = openBlockStore({ directory: temporaryDirectory(context), prefetchSlots: 3 });
  const random = new SeededRandom(SEED + 1);
  const count = 3000;
  for (let from = 0; from < count; from += 500) {
    const batch = Array.from({ length: 500 }, (_, index) => ({
      keyHi: 256,
      keyLo: from + index,
      bytes: new Uint8Array(4072).fill((from + index) & 0xff),
    }));
    await store.write(batch);
  }
  await store.prefetch([]);
  const jobs = [1, 2, 17, 700, 5000].map((length) =>
    Array.from({ length }, () => ({ keyHi: 256, keyLo: random.below(2 * count) })),
  );
  const ended = jobs.map((keys) => store.prefetch(keys));
  // Reads and writes go on meanwhile.
  await store.write([{ keyHi: 256, keyLo: 2 * count, bytes: new Uint8Array(4072) }]);
  assert.equal(store.read(256, 9)?.[0], 9);
  await Promise.all(ended);
  for (const { keyLo } of jobs.flat()) {
    assert.equal(store.read(256, keyLo)?.[0], keyLo < count ? keyLo & 0xff : undefined);
  }
  await store.close();
});

test('a store that closes waits for the prefetches under way and answers those that wait', async (context) => {
  const directory = temporaryDirectory(context);
  for (let round = 0; round < 20; round++) {
    const store = openBlockStore({ directory, prefetchSlots: 2 });
    const batch = Array.from({ length: 200 }, (_, keyLo) => ({
      keyHi: 256,
      keyLo,
      bytes: new Uint8Array(4072),
    }));
    await store.write(batch);
    const prefetches = [batch, batch, batch].map((keys) => store.prefetch(keys));
    const closed = store.close();
    await Promise.all(prefetches);
    await closed;
    await store.prefetch(batch);
  }
});
