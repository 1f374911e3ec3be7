/** The supply of segments: one ahead, few spares, and no name used twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadChecksum } from '../../storage/checksum.ts';
import { decodeSegmentHeader } from '../../storage/journal-segment.ts';
import { type ReadySegment, SegmentSupply } from '../../storage/journal-supply.ts';
import { segmentPath, settle, TEST_DIRECTORY, TEST_SEGMENT_BYTES } from '../support/journal-harness.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';

await loadChecksum();

function supplyOn(disk: SimulatedDisk): SegmentSupply {
  return new SegmentSupply({
    disk,
    directory: TEST_DIRECTORY,
    segmentBytes: TEST_SEGMENT_BYTES,
    incarnation: { lo: 1, hi: 2 },
    chainStart: 12_288,
    firstSequence: 5,
  });
}

function full(message: string): Error {
  return Object.assign(new Error(message), { code: 'ENOSPC' });
}

function take(supply: SegmentSupply): Promise<ReadySegment> {
  return new Promise((resolve, reject) => {
    supply.take((error, segment) => (segment === null ? reject(error) : resolve(segment)));
  });
}

test('a segment is handed out with its name, its size and a durable header', async () => {
  const disk = new SimulatedDisk();
  const segment = await take(supplyOn(disk));
  assert.equal(segment.sequence, 5);
  assert.equal(segment.path, segmentPath(5));
  const bytes = disk.bytesOf(segment.path);
  assert.equal(bytes.length, TEST_SEGMENT_BYTES);
  assert.deepEqual(decodeSegmentHeader(bytes.subarray(0, 4096), 5, TEST_SEGMENT_BYTES), {
    sequence: 5,
    segmentBytes: TEST_SEGMENT_BYTES,
    incarnation: { lo: 1, hi: 2 },
    chainStart: 12_288,
  });
});

test('what was prepared is handed out at once, and only one is ever prepared', async () => {
  const disk = new SimulatedDisk();
  const supply = supplyOn(disk);
  supply.prepare();
  supply.prepare();
  await settle();
  supply.prepare();
  await settle();
  assert.deepEqual([...disk.files.keys()], [segmentPath(5)]);
  let taken: ReadySegment | null = null;
  supply.take((_, segment) => {
    taken = segment;
  });
  assert.equal((taken as ReadySegment | null)?.sequence, 5);
});

test('a recycled file is used before a new one is made', async () => {
  const disk = new SimulatedDisk();
  const supply = supplyOn(disk);
  disk.writeFileDurable(segmentPath(2), new Uint8Array(TEST_SEGMENT_BYTES).fill(7));
  supply.recycle({ sequence: 2, path: segmentPath(2), sizeBytes: TEST_SEGMENT_BYTES, lastFrame: 0 });
  const segment = await take(supply);
  assert.deepEqual([...disk.files.keys()], [segment.path]);
  assert.equal(disk.bytesOf(segment.path)[TEST_SEGMENT_BYTES - 1], 7, 'nothing is filled again');
});

test('a file of another size is no spare', async () => {
  const disk = new SimulatedDisk();
  const supply = supplyOn(disk);
  disk.writeFileDurable(segmentPath(2), new Uint8Array(100));
  supply.recycle({ sequence: 2, path: segmentPath(2), sizeBytes: 100, lastFrame: 0 });
  await take(supply);
  assert.deepEqual([...disk.files.keys()], [segmentPath(5)]);
});

test('a preparation that finds no room is said, leaves no file, and is tried again under a new sequence', async () => {
  const disk = new SimulatedDisk();
  const supply = supplyOn(disk);
  disk.createErrors.push(full('no room'));
  await assert.rejects(take(supply), /no room/);
  assert.match(String(supply.error), /no room/);
  disk.writeErrors.push(full('no room for the header'));
  await assert.rejects(take(supply), /no room for the header/);
  assert.equal(disk.files.size, 0);
  assert.equal(disk.openHandles, 0);
  assert.equal((await take(supply)).sequence, 7);
  assert.equal(supply.error, null);
});

test('after any other error nothing is prepared again', async () => {
  const disk = new SimulatedDisk();
  const supply = supplyOn(disk);
  disk.writeErrors.push(new Error('EIO'));
  supply.prepare();
  await settle();
  assert.match(String(supply.failure), /EIO/);
  assert.equal(supply.error, null, 'it is not that there is no room');
  await assert.rejects(take(supply), /EIO/);
  supply.prepare();
  await settle();
  assert.equal(disk.files.size, 0);
});

test('closing waits for the preparation and closes its file', async () => {
  const disk = new SimulatedDisk();
  const supply = supplyOn(disk);
  supply.prepare();
  await supply.close();
  assert.equal(disk.openHandles, 0);
});

test('files that go are waited for, and one that cannot go is the last', async () => {
  const disk = new SimulatedDisk();
  const supply = supplyOn(disk);
  let fail: (error: Error) => void = () => undefined;
  disk.removeLater = () =>
    new Promise((_resolve, reject) => {
      fail = reject;
    });
  // Cut short, so it is no spare.
  supply.recycle({ sequence: 1, path: segmentPath(1), sizeBytes: 4096, lastFrame: 0 });
  let isClosed = false;
  const closed = supply.close().then(() => {
    isClosed = true;
  });
  await settle();
  assert.equal(isClosed, false);
  assert.equal(supply.failure, null);
  const refused = new Error('the device is gone');
  fail(refused);
  await closed;
  assert.equal(supply.failure, refused);
});
