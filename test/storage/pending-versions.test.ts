/** The table of what waits for the journal, held to a search of everything that waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ArenaTable } from '../../storage/arena.ts';
import { BufferChunks, placeOf } from '../../storage/buffer-chunks.ts';
import { NONE_PENDING, PendingVersions } from '../../storage/pending-versions.ts';
import { FLAG_HISTORY_ONLY, KIND_PUT, writeRecordHeader } from '../../storage/record.ts';
import { secondHashOf } from '../../storage/row-index.ts';
import type { PendingWrite } from '../../storage/write-group.ts';
import { WriteQueue } from '../../storage/write-queue.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { keyBatchOf } from '../support/shard.ts';
import { writeRequest } from '../support/write-rig.ts';

const KEYS = Array.from({ length: 3000 }, (_value, index) => `key ${index}`);
const BATCH = keyBatchOf(KEYS);
const HASHES = KEYS.map((key) => secondHashOf(Buffer.from(key), 0, key.length));

interface Waiting {
  readonly key: number;
  readonly group: number;
  readonly eventTime: number;
  readonly lsn: number;
  readonly place: number;
  readonly isHistory: boolean;
  readonly inGroup: number;
}

function pendingWrite(group: number): PendingWrite {
  const request = writeRequest(['any'], { group });
  const done = (): void => {};
  const state = { rowsLaid: 0, isPartlyWritten: false, hasSeenPending: false, refusal: undefined };
  return { request, done, isImmediate: false, ...state };
}

test('asked at random moments, it answers the newest that waits, or one that the index has outdone', () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const chunks = new BufferChunks(new ArenaTable(), 2 ** 22);
  const queue = new WriteQueue(chunks);
  const pending = new PendingVersions(queue, chunks);
  let waiting: Waiting[] = [];
  /** By group and key: what has been committed. */
  const committed = new Map<string, Waiting>();
  let lsn = 0;

  const isNewer = (a: Waiting, b: Waiting | undefined): boolean =>
    b === undefined || a.eventTime > b.eventTime || (a.eventTime === b.eventTime && a.lsn > b.lsn);

  const add = (): void => {
    const key = random.below(random.chance(0.5) ? 10 : KEYS.length);
    const group = 1 + random.below(2);
    const isHistory = random.chance(0.1);
    const eventTime = random.below(50);
    const text = Buffer.from(KEYS[key]!);
    const chunk = chunks.reserve(64);
    const at = chunk.usedBytes - 64;
    lsn += 1;
    writeRecordHeader(
      chunk.arena.view,
      at,
      64,
      group,
      KIND_PUT,
      BATCH.digests[2 * key]!,
      BATCH.digests[2 * key + 1]!,
      eventTime,
      lsn,
      lsn,
      0,
      text.length,
      isHistory ? FLAG_HISTORY_ONLY : 0,
    );
    chunk.arena.bytes.set(text, at + 48);
    queue.add(pendingWrite(group), 0, chunk, at, 64);
    const inGroup = queue.last!.number;
    waiting.push({ key, group, eventTime, lsn, place: placeOf(chunk.slot, at), isHistory, inGroup });
  };

  const commit = (): void => {
    const group = queue.groups[0];
    if (!queue.isCommitting) queue.start();
    if (group === undefined || random.chance(0.5)) return;
    queue.finish();
    pending.committed();
    for (const record of waiting.filter((other) => other.inGroup === group.number && !other.isHistory)) {
      const name = `${record.group} ${record.key}`;
      if (isNewer(record, committed.get(name))) committed.set(name, record);
    }
    waiting = waiting.filter((other) => other.inGroup !== group.number);
  };

  const ask = (): void => {
    const key = random.below(random.chance(0.5) ? 10 : KEYS.length);
    const group = 1 + random.below(2);
    const candidates = waiting.filter(
      (other) => other.key === key && other.group === group && !other.isHistory,
    );
    const newest = candidates.reduce<Waiting | undefined>((a, b) => (isNewer(b, a) ? b : a), undefined);
    const found = pending.find(BATCH.digests[2 * key]!, BATCH.digests[2 * key + 1]!, group, HASHES[key]!);
    const indexed = committed.get(`${group} ${key}`);
    if (newest !== undefined && isNewer(newest, indexed)) {
      assert.equal(found, newest.place, `key ${key} of group ${group}`);
    } else if (found !== NONE_PENDING) {
      const answered = candidates.find((other) => other.place === found);
      assert.ok(answered !== undefined, 'what it answers waits');
      assert.ok(!isNewer(answered, indexed), 'the index has a newer one');
    }
  };

  for (let step = 0; step < 30_000; step++) {
    const choice = random.below(100);
    if (choice < 60) add();
    else if (choice < 62) while (!queue.isEmpty) commit();
    else if (choice < 64) commit();
    else if (step % 4000 > 2000) ask();
  }
});
