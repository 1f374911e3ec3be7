/** The write path over a journal that the test holds: order of acknowledgement, bounds, and what a failure does. */
import { strict as assert } from 'node:assert';
import { describe, test } from 'node:test';
import type { GroupPolicies } from '../../storage/group-policy.ts';
import { WRITE_GROUP_RECORDS_MAX, WRITE_QUEUE_BYTES_MAX } from '../../storage/limits.ts';
import { StorageError } from '../../storage/storage-error.ts';
import type { WriteRequest } from '../../storage/write-request.ts';
import { KEEP_ALL } from '../support/shard.ts';
import { writeRig as rig, writeRequest } from '../support/write-rig.ts';

/** Header, key, payload. */
const RECORD_BYTES = 48 + 8 + 8;

function request(keys: readonly string[], payloadBytes = 8): WriteRequest {
  return writeRequest(keys, { payloadBytes });
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

  test('a group has no more records than one turn applies', () => {
    const { journal, path, index, endTurn } = rig();
    const count = 2 * WRITE_GROUP_RECORDS_MAX + 100;
    let answers = 0;
    path.write(request(Array.from({ length: count }, (_value, i) => `k${i}`)), () => {
      answers += 1;
    });
    endTurn();
    for (let at = 0; at < journal.commits.length; at++) journal.commits[at]?.settle(null);
    assert.deepEqual(
      journal.commits.map(({ records }) => records),
      [WRITE_GROUP_RECORDS_MAX, WRITE_GROUP_RECORDS_MAX, 100],
    );
    assert.equal(answers, 1);
    assert.equal(index.rowCount, count);
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

  test('what a full device refuses is refused with all that waits behind it', () => {
    const { journal, path, index, endTurn } = rig();
    const answers: (string | undefined)[] = [];
    path.write(request(['a']), (error) => answers.push(error?.code));
    endTurn();
    path.write(request(['b']), (error) => answers.push(error?.code));
    endTurn();
    journal.commits[0]?.settle(new StorageError('STORAGE_FULL', 'no room'));
    assert.deepEqual(answers, ['STORAGE_FULL', 'STORAGE_FULL']);
    assert.equal(path.pendingBytes, 0);
    assert.equal(index.rowCount, 0);
    endTurn();
    assert.equal(journal.commits.length, 1);
  });
});

/** Group 2 is acknowledged before it is durable. */
const MEMORY_TWO: GroupPolicies = {
  policyOf: (group) => {
    const policy = KEEP_ALL.policyOf(group);
    return policy && group === 2 ? { ...policy, durability: 'memory' } : policy;
  },
};

describe('write path, durability memory', () => {
  test('rows are visible at once, answered at the end of the turn, and journalled after it', () => {
    const { journal, path, index, endTurn } = rig({ policies: MEMORY_TWO });
    const done: string[] = [];
    path.write(writeRequest(['a', 'b'], { group: 2 }), () => done.push('ab'));
    assert.equal(index.rowCount, 2);
    assert.equal(done.length, 0);
    endTurn();
    assert.deepEqual(done, ['ab']);
    assert.equal(journal.commits[0]?.records, 2);
    path.write(writeRequest(['c'], { group: 2 }), () => done.push('c'));
    endTurn();
    assert.deepEqual(done, ['ab', 'c'], 'while a commit is in flight');
    journal.commits[0]?.settle(null);
    assert.equal(journal.commits[1]?.records, 1);
    assert.equal(index.rowCount, 3);
  });

  test('one commit takes rows of both durabilities, and each is applied once', () => {
    const { journal, path, buffer, index, endTurn } = rig({ policies: MEMORY_TWO });
    const done: string[] = [];
    path.write(writeRequest(['a']), () => done.push('journal'));
    path.write(writeRequest(['a'], { group: 2 }), () => done.push('memory'));
    path.write(writeRequest(['b']), () => done.push('journal'));
    endTurn();
    assert.deepEqual(done, ['memory']);
    assert.equal(buffer.count, 1);
    journal.commits[0]?.settle(null);
    assert.deepEqual(done, ['memory', 'journal', 'journal']);
    assert.equal(buffer.count, 3);
    assert.equal(index.rowCount, 3);
  });

  test('a full device drops no acknowledged row: it is tried again until there is room', async () => {
    const { journal, path, index, delayed, endTurn } = rig({ policies: MEMORY_TWO });
    const done: (string | undefined)[] = [];
    path.write(writeRequest(['a']), (error) => done.push(error?.code));
    path.write(writeRequest(['x', 'y'], { group: 2 }), (error) => done.push(error?.code));
    path.write(writeRequest(['b']), (error) => done.push(error?.code));
    endTurn();
    assert.deepEqual(done, [undefined]);
    const whole = journal.commits[0]!.body();
    journal.commits[0]?.settle(new StorageError('STORAGE_FULL', 'no room'));
    assert.deepEqual(done, [undefined, 'STORAGE_FULL', 'STORAGE_FULL']);
    assert.equal(index.rowCount, 2);
    assert.ok(path.pendingBytes > 0);
    for (let retry = 1; retry < 3; retry++) {
      delayed.shift()?.();
      await Promise.resolve();
      assert.equal(journal.commits[retry]?.records, 2);
      const kept = journal.commits[retry]!.body();
      assert.ok(kept.equals(whole.subarray(RECORD_BYTES, 3 * RECORD_BYTES)));
      journal.commits[retry]?.settle(retry === 1 ? new StorageError('STORAGE_FULL', 'no room') : null);
    }
    assert.equal(path.pendingBytes, 0);
    assert.equal(index.rowCount, 2);
  });

  test('a chunk whose records were flushed keeps its bytes until the journal has them', () => {
    const { journal, path, buffer, chunks, endTurn } = rig({ policies: MEMORY_TWO });
    path.write(writeRequest(['a'], { group: 2, payloadBytes: 1_000_000 }), () => {});
    endTurn();
    const before = Buffer.from(journal.commits[0]!.body());
    chunks.release(buffer.places[0]!);
    // Enough to fill the chunk and to take what is free.
    for (let row = 0; row < 12; row++) {
      path.write(
        writeRequest([`k${row}`], {
          group: 2,
          payload: new Uint8Array(1e6).fill(7),
          payloadOffsets: Uint32Array.of(0, 1e6),
        }),
        () => {},
      );
    }
    assert.ok(before.equals(journal.commits[0]!.body()), 'the bytes on their way to disk stand still');
    journal.commits[0]?.settle(null);
  });

  test('rows behind some that wait from the time of durability journal wait with them', () => {
    let durability: 'journal' | 'memory' = 'journal';
    const policies: GroupPolicies = { policyOf: (group) => ({ ...KEEP_ALL.policyOf(group)!, durability }) };
    const { journal, path, index, endTurn } = rig({ policies });
    const done: string[] = [];
    path.write(request(['a']), () => done.push('first'));
    endTurn();
    durability = 'memory';
    path.write(request(['a']), () => done.push('second'));
    endTurn();
    assert.equal(done.length, 0);
    assert.equal(index.rowCount, 0);
    journal.commits[0]?.settle(null);
    journal.commits[1]?.settle(null);
    assert.deepEqual(done, ['first', 'second']);
    path.write(request(['b']), () => done.push('third'));
    endTurn();
    assert.deepEqual(done, ['first', 'second', 'third']);
  });

  test('after a failed journal write not even such rows are acknowledged', () => {
    const { journal, path, fatal, endTurn } = rig({ policies: MEMORY_TWO });
    const done: (string | undefined)[] = [];
    path.write(writeRequest(['a'], { group: 2 }), (error) => done.push(error?.code));
    endTurn();
    path.write(writeRequest(['b'], { group: 2 }), (error) => done.push(error?.code));
    journal.commits[0]?.settle(new Error('EIO'));
    endTurn();
    assert.deepEqual(done, [undefined, 'INTERNAL']);
    assert.equal(fatal.length, 1);
  });
});
