/** An index checkpoint: what is written is what is read, while the index changes, and nothing damaged is taken for one. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { loadChecksum } from '../../storage/checksum.ts';
import { type IndexCheckpointHeader, SECTION_UNITS } from '../../storage/index-checkpoint-format.ts';
import { type LoadedIndexCheckpoint, readIndexCheckpoint } from '../../storage/index-checkpoint-reader.ts';
import { IndexCheckpointWriter } from '../../storage/index-checkpoint-writer.ts';
import { WHERE_BUFFER, WHERE_LEVEL_ONE, WHERE_LEVEL_ZERO, WHERE_UNKNOWN } from '../../storage/index-entry.ts';
import { IndexTable } from '../../storage/index-table.ts';
import { assertGolden } from '../support/golden-bytes.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';

const SEED = testSeed();
console.log(`seed ${SEED}`);

const PARTITIONS = 8;
const HEADER: IndexCheckpointHeader = {
  shardIndex: 0,
  shardCount: 2,
  flushNumber: 7,
  nextSequence: 9,
  nextCounter: 3,
  versions: 1000,
};
const PATH = 'index/checkpoint';

before(loadChecksum);

function addRow(index: IndexTable, random: SeededRandom, partition: number, where: number): void {
  const group = 1 + random.below(3);
  const digestHi = random.uint32();
  const hash2 = random.uint32();
  const digestLo = random.uint32();
  const handle = index.insert(partition, digestHi, digestLo, group, hash2);
  index.set(handle, where, random.uint32(), 8 * random.below(500), random.below(1e9), 5, false, 0);
}

function fillIndex(random: SeededRandom, rows: number, partition: () => number): IndexTable {
  const index = new IndexTable({ partitionCount: PARTITIONS });
  for (let row = 0; row < rows; row += 1) addRow(index, random, partition(), WHERE_LEVEL_ZERO);
  return index;
}

/** Each entry's eight words, the partition before them. */
function entriesOf(index: IndexTable): Set<string> {
  const entries = new Set<string>();
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    index.visit(partition, (handle) => {
      const word = index.word(handle);
      entries.add(
        `${partition}: ${index
          .slab(handle)
          .subarray(word, word + 8)
          .join()}`,
      );
    });
  }
  return entries;
}

function writerOf(disk: SimulatedDisk, index: IndexTable): IndexCheckpointWriter {
  return new IndexCheckpointWriter({ disk, directory: 'index', index, localPartitionCount: PARTITIONS });
}

async function load(
  disk: SimulatedDisk,
): Promise<{ found: LoadedIndexCheckpoint | string; index: IndexTable }> {
  const index = new IndexTable({ partitionCount: PARTITIONS });
  const found = await readIndexCheckpoint({
    disk,
    directory: 'index',
    index,
    misfit: () => undefined,
    onProgress: () => {},
    pause: () => Promise.resolve(),
  });
  return { found, index };
}

for (const [name, rows, partition] of [
  ['no rows', 0, () => 0],
  ['a few rows', 50, () => 3],
  ['rows in every partition', 30_000, (random: SeededRandom) => random.below(PARTITIONS)],
  ['a partition whose tables have split', 60_000, () => 5],
] as const) {
  test(`${name}: the index read is the index written`, async () => {
    const random = new SeededRandom(SEED);
    const disk = new SimulatedDisk();
    const index = fillIndex(random, rows, () => partition(random));
    const units = new Uint8Array(1_300_001).map(() => random.uint32());
    const written = await writerOf(disk, index).write(HEADER, [{ kind: SECTION_UNITS, bytes: units }]);
    assert.equal(written, disk.bytesOf(PATH).length);
    assert.deepEqual(disk.listFiles('index'), ['checkpoint']);
    const { found, index: loaded } = await load(disk);
    assert.ok(typeof found !== 'string', String(found));
    assert.deepEqual(found.header, HEADER);
    assert.deepEqual(found.units, units);
    assert.equal(found.idempotency.length, 0);
    loaded.verify();
    assert.equal(loaded.rowCount, rows);
    assert.deepEqual(entriesOf(loaded), entriesOf(index));
    for (let more = 0; more < 20_000; more += 1)
      addRow(loaded, random, random.below(PARTITIONS), WHERE_LEVEL_ONE);
    loaded.verify();
  });
}

test('tables that grow and split while they are written leave a checkpoint that holds every row there was', async () => {
  const random = new SeededRandom(SEED);
  const disk = new SimulatedDisk();
  disk.isImmediate = false;
  const index = fillIndex(random, 30_000, () => random.below(3));
  const before = entriesOf(index);
  let finished = false;
  const writing = writerOf(disk, index)
    .write(HEADER, [])
    .then(() => {
      finished = true;
    });
  while (!finished) {
    for (let more = 0; more < 2_000; more += 1) addRow(index, random, random.below(3), WHERE_LEVEL_ONE);
    disk.step();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await writing;
  const { found, index: loaded } = await load(disk);
  assert.ok(typeof found !== 'string', String(found));
  loaded.verify();
  const entries = entriesOf(loaded);
  for (const entry of before) assert.ok(entries.has(entry), entry);
  assert.ok(entries.size > before.size);
});

test('an entry that points at the write buffer is written without a place', async () => {
  const random = new SeededRandom(SEED);
  const disk = new SimulatedDisk();
  const index = fillIndex(random, 10, () => 1);
  addRow(index, random, 1, WHERE_BUFFER);
  await writerOf(disk, index).write(HEADER, []);
  const { index: loaded } = await load(disk);
  const places: number[] = [];
  loaded.visit(1, (handle) => {
    places.push(loaded.where(handle));
    if (loaded.where(handle) === WHERE_UNKNOWN) assert.equal(loaded.block(handle) + loaded.offset(handle), 0);
  });
  assert.equal(places.filter((where) => where === WHERE_UNKNOWN).length, 1);
  assert.equal(places.length, 11);
});

test('any flipped bit, and any cut, is found', async () => {
  const random = new SeededRandom(SEED);
  const disk = new SimulatedDisk();
  await writerOf(
    disk,
    fillIndex(random, 200, () => random.below(PARTITIONS)),
  ).write(HEADER, [{ kind: SECTION_UNITS, bytes: new Uint8Array(37).fill(9) }]);
  const whole = disk.bytesOf(PATH).slice();
  for (let round = 0; round < 400; round += 1) {
    const bytes = disk.bytesOf(PATH);
    bytes.set(whole);
    const at = random.below(whole.length);
    bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
    assert.equal(typeof (await load(disk)).found, 'string', `a flipped bit in byte ${at}`);
  }
  for (let round = 0; round < 100; round += 1) {
    const length = random.below(whole.length);
    disk.writeFileDurable(PATH, whole.subarray(0, length));
    assert.equal(typeof (await load(disk)).found, 'string', `cut at ${length}`);
  }
  disk.writeFileDurable(PATH, whole);
  assert.equal(typeof (await load(disk)).found, 'object');
});

test('a write error, or being abandoned, leaves the checkpoint before it', async () => {
  const random = new SeededRandom(SEED);
  const disk = new SimulatedDisk();
  const index = fillIndex(random, 20_000, () => random.below(PARTITIONS));
  await writerOf(disk, index).write(HEADER, []);
  const first = disk.bytesOf(PATH).slice();
  addRow(index, random, 1, WHERE_LEVEL_ONE);
  disk.writeErrors.push(new Error('no room'));
  await assert.rejects(writerOf(disk, index).write(HEADER, []), /no room/);
  const abandoned = writerOf(disk, index);
  const writing = abandoned.write(HEADER, []);
  abandoned.abandon();
  assert.equal(await writing, 0);
  assert.deepEqual(disk.listFiles('index'), ['checkpoint']);
  assert.deepEqual(disk.bytesOf(PATH), first);
  assert.equal(disk.openHandles, 0);
});

test('a checkpoint has its golden bytes', async () => {
  const disk = new SimulatedDisk();
  const index = new IndexTable({ partitionCount: PARTITIONS });
  const handle = index.insert(2, 0x89abcdef, 0x01234000, 5, 0x55667788);
  index.set(handle, WHERE_LEVEL_ZERO, 77, 48, 1_700_000_000_000_000, 42, false, 0);
  await writerOf(disk, index).write(HEADER, [{ kind: SECTION_UNITS, bytes: Uint8Array.of(1, 2, 3) }]);
  assertGolden('index-checkpoint', disk.bytesOf(PATH));
});
