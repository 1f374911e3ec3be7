/** The write path over a journal that the test holds: order of acknowledgement, bounds, and what a failure does. */
import { strict as assert } from 'node:assert';
import { describe, test } from 'node:test';
import { ArenaTable } from '../../storage/arena.ts';
import { BufferChunks } from '../../storage/buffer-chunks.ts';
import { IndexTable } from '../../storage/index-table.ts';
import type { Journal } from '../../storage/journal.ts';
import { WRITE_QUEUE_BYTES_MAX } from '../../storage/limits.ts';
import { PartitionClock } from '../../storage/partition-clock.ts';
import { KIND_PUT } from '../../storage/record.ts';
import { StorageError } from '../../storage/storage-error.ts';
import { WriteBuffer } from '../../storage/write-buffer.ts';
import { WritePath } from '../../storage/write-path.ts';
import { UNCONDITIONAL, type WriteRequest } from '../../storage/write-request.ts';
import { keyBatchOf } from '../support/shard.ts';

/** Keeps each commit until the test settles it. */
class HeldJournal implements Journal {
  nextPosition = 4096;
  bytesHeld = 0;
  spaceError: Error | null = null;
  commits: { bytes: number; records: number; settle: (error: Error | null) => void }[] = [];

  commit(
    parts: readonly Uint8Array[],
    bytes: number,
    records: number,
    done: (error: Error | null) => void,
  ): void {
    assert.equal(
      parts.reduce((sum, part) => sum + part.length, 0),
      bytes,
    );
    const settle = (error: Error | null): void => {
      if (error === null) this.nextPosition += 4096;
      done(error);
    };
    this.commits.push({ bytes, records, settle });
  }

  retries = 0;

  retrySpace(): void {
    this.retries += 1;
  }

  recycleBefore(): void {}
  async close(): Promise<void> {}
}

function rig() {
  const journal = new HeldJournal();
  const scheduled: (() => void)[] = [];
  const fatal: StorageError[] = [];
  const buffer = new WriteBuffer(4096);
  const index = new IndexTable({ partitionCount: 4096 });
  const chunks = new BufferChunks(new ArenaTable(), 2 ** 25);
  const path = new WritePath({
    shardCount: 1,
    chunks,
    index,
    partitionClock: new PartitionClock(4096),
    clock: { nowMicros: () => 1_000_000 },
    journal,
    schedule: (run) => scheduled.push(run),
    activeBuffer: () => buffer,
    onApplied: () => {},
    onFatal: (error) => fatal.push(error),
  });
  const endTurn = (): void => {
    for (const run of scheduled.splice(0)) run();
  };
  return { journal, path, buffer, index, chunks, fatal, endTurn };
}

function request(keys: readonly string[], payloadBytes = 8): WriteRequest {
  return {
    group: 1,
    kind: KIND_PUT,
    count: keys.length,
    keys: keyBatchOf(keys),
    eventTimes: new Float64Array(keys.length).fill(5),
    ...UNCONDITIONAL,
    ttlSeconds: 0,
    payload: new Uint8Array(payloadBytes * keys.length),
    payloadOffsets: Uint32Array.from({ length: keys.length + 1 }, (_value, i) => i * payloadBytes),
    results: new Uint8Array(keys.length),
    lsns: new Float64Array(keys.length),
  };
}

describe('write path', () => {
  test('requests of one turn share a commit, and are acknowledged when it is durable', () => {
    const { journal, path, index, endTurn } = rig();
    const done: string[] = [];
    path.write(request(['a']), () => done.push('a'));
    path.write(request(['b', 'c']), () => done.push('bc'));
    endTurn();
    assert.equal(journal.commits.length, 1);
    assert.equal(journal.commits[0]?.records, 3);
    assert.deepEqual(done, []);
    assert.equal(index.rowCount, 0);
    journal.commits[0]?.settle(null);
    assert.deepEqual(done, ['a', 'bc']);
    assert.equal(index.rowCount, 3);
  });

  test('while a commit is in flight the next group fills, and starts when it ends', () => {
    const { journal, path, endTurn } = rig();
    path.write(request(['a']), () => {});
    endTurn();
    path.write(request(['b']), () => {});
    path.write(request(['c']), () => {});
    endTurn();
    assert.equal(journal.commits.length, 1);
    journal.commits[0]?.settle(null);
    assert.equal(journal.commits.length, 2);
    assert.equal(journal.commits[1]?.records, 2);
  });

  test('a request larger than a group is answered once, when its last row is durable', () => {
    const { journal, path, endTurn } = rig();
    const keys = Array.from({ length: 30 }, (_value, i) => `k${i}`);
    const done: (StorageError | null)[] = [];
    path.write(request(keys, 100_000), (error) => done.push(error));
    endTurn();
    let settled = 0;
    while (settled < journal.commits.length) {
      assert.deepEqual(done, []);
      journal.commits[settled]?.settle(null);
      settled += 1;
    }
    assert.ok(settled >= 3, `${settled} commits`);
    assert.deepEqual(done, [null]);
  });

  test('a failed journal write acknowledges nothing, then or later, and is fatal once', () => {
    const { journal, path, index, fatal, endTurn } = rig();
    const errors: (string | undefined)[] = [];
    path.write(request(['a']), (error) => errors.push(error?.code));
    endTurn();
    path.write(request(['b']), (error) => errors.push(error?.code));
    journal.commits[0]?.settle(new Error('EIO'));
    assert.deepEqual(errors, ['INTERNAL', 'INTERNAL']);
    assert.equal(index.rowCount, 0);
    assert.equal(fatal.length, 1);
    assert.throws(() => path.write(request(['c']), () => {}), { code: 'INTERNAL' });
    endTurn();
    assert.equal(journal.commits.length, 1);
  });

  test('a journal without room refuses its group, gives the memory back, and goes on', () => {
    const { journal, path, index, fatal, endTurn } = rig();
    const answers: (string | undefined)[] = [];
    path.write(request(['a']), (error) => answers.push(error?.code));
    endTurn();
    journal.commits[0]?.settle(new StorageError('STORAGE_FULL', 'no room'));
    path.write(request(['b']), (error) => answers.push(error?.code));
    endTurn();
    journal.commits[1]?.settle(null);
    assert.deepEqual(answers, ['STORAGE_FULL', undefined]);
    assert.equal(index.rowCount, 1);
    assert.equal(path.pendingBytes, 0);
    assert.deepEqual(fatal, []);
  });

  test('a request of which only a part was refused is indeterminate, not unwritten', () => {
    const { journal, path, endTurn } = rig();
    const keys = Array.from({ length: 15 }, (_value, i) => `k${i}`);
    const answers: (string | undefined)[] = [];
    path.write(request(keys, 100_000), (error) => answers.push(error?.code));
    endTurn();
    journal.commits[0]?.settle(null);
    journal.commits[1]?.settle(new StorageError('STORAGE_FULL', 'no room'));
    assert.deepEqual(answers, ['INTERNAL']);
  });

  test('writes are refused while the next journal segment cannot be made', () => {
    const { journal, path } = rig();
    journal.spaceError = new Error('ENOSPC');
    assert.throws(() => path.write(request(['a']), () => {}), { code: 'STORAGE_FULL' });
    assert.throws(() => path.write(request(['a']), () => {}), { code: 'STORAGE_FULL' });
    assert.equal(journal.retries, 1, 'the device is asked again, but not by every write');
    journal.spaceError = null;
    path.write(request(['a']), () => {});
  });

  test('what waits for the journal is bounded', () => {
    const { path } = rig();
    let accepted = 0;
    const writeMore = (): void => {
      for (;;) {
        path.write(request([`k${accepted}`], 1_000_000), () => {});
        accepted += 1;
      }
    };
    assert.throws(writeMore, { code: 'OVERLOADED' });
    assert.ok(path.pendingBytes <= WRITE_QUEUE_BYTES_MAX + 1_100_000);
  });

  test('draining waits for what was accepted and refuses what comes after', async () => {
    const { journal, path, endTurn } = rig();
    path.write(request(['a']), () => {});
    endTurn();
    let isDrained = false;
    const drained = path.drain().then(() => {
      isDrained = true;
    });
    assert.throws(() => path.write(request(['b']), () => {}), { code: 'SHUTTING_DOWN' });
    await Promise.resolve();
    assert.equal(isDrained, false);
    journal.commits[0]?.settle(null);
    await drained;
    assert.equal(isDrained, true);
  });
});
