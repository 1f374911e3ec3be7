/** Patches that are sent again, after answers that were lost and after restarts of every kind: each counts once. */
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { test } from 'node:test';
import { RECORD_MISSING, ReadBatch } from '../../storage/read-batch.ts';
import { KIND_PUT, recordPayloadOffset } from '../../storage/record.ts';
import { type PatchMerge, UNCONDITIONAL, type WriteRequest } from '../../storage/write-request.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { keyBatchOf, TestShard } from '../support/shard.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const KEYS = Array.from({ length: 8 }, (_value, index) => `counter ${index}`);

const ADD: PatchMerge = (base, baseFrom, _baseTo, patch, patchFrom) => {
  const merged = new DataView(new ArrayBuffer(8));
  const added = new DataView(patch.buffer, patch.byteOffset).getFloat64(patchFrom, true);
  merged.setFloat64(0, (base === null ? 0 : base.view.getFloat64(baseFrom, true)) + added, true);
  return new Uint8Array(merged.buffer);
};

function increment(
  shard: TestShard,
  keys: readonly string[],
  client: number,
  sequence: number,
): WriteRequest {
  return {
    ...UNCONDITIONAL,
    group: 1,
    kind: KIND_PUT,
    count: keys.length,
    keys: keyBatchOf(keys),
    eventTimes: new Float64Array(keys.length).fill(shard.nowMicros),
    ttlSeconds: 0,
    payload: new Uint8Array(new Float64Array(keys.length).fill(1).buffer),
    payloadOffsets: Uint32Array.from({ length: keys.length + 1 }, (_value, index) => 8 * index),
    merge: ADD,
    isTimeFloor: true,
    clientIdLo: client,
    sequence,
    results: new Uint8Array(keys.length),
    lsns: new Float64Array(keys.length),
  };
}

function send(shard: TestShard, request: WriteRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    shard.store.write(request, (error) => (error === null ? resolve() : reject(error)));
  });
}

function counters(shard: TestShard): number[] {
  const batch = new ReadBatch(KEYS.length);
  shard.store.read(1, keyBatchOf(KEYS), Math.floor(shard.nowMicros / 1e6), batch);
  return KEYS.map((_key, row) => {
    const at = batch.offset[row]!;
    if (at === RECORD_MISSING) return 0;
    const { view } = shard.store.arenas.get(batch.arena[row]!);
    return view.getFloat64(recordPayloadOffset(view, at), true);
  });
}

test('increments count once, however often they are sent, flushed and restarted', async (context) => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const options = { journalSegmentBytes: 1024 * 1024, cacheBytes: 64 * 1024 };
  let directory = temporaryDirectory(context);
  let shard = await new TestShard(directory, options).open();
  const expected = KEYS.map(() => 0);
  const sent: { keys: string[]; client: number; sequence: number; results: number[]; lsns: number[] }[] = [];
  for (let step = 0; step < 300; step++) {
    shard.nowMicros += random.below(2000) - 900;
    const choice = random.below(20);
    if (choice === 0) await shard.store.flush();
    else if (choice === 1) {
      await shard.store.close();
      await shard.open();
    } else if (choice === 2) {
      // What a killed process would leave: its files as they are now, the journal's tail included.
      const left = temporaryDirectory(context);
      cpSync(directory, left, { recursive: true });
      await shard.store.close();
      const { nowMicros } = shard;
      directory = left;
      shard = new TestShard(directory, options);
      shard.nowMicros = nowMicros;
      await shard.open();
    } else if (choice < 8 && sent.length > 0) {
      const again = sent[random.below(sent.length)]!;
      const request = increment(shard, again.keys, again.client, again.sequence);
      await send(shard, request);
      assert.deepEqual([...request.results], again.results, 'the first answer');
      assert.deepEqual([...request.lsns], again.lsns);
    } else {
      const keys = Array.from({ length: 1 + random.below(4) }, () => KEYS[random.below(KEYS.length)]!);
      const client = 1 + random.below(3);
      const request = increment(shard, keys, client, sent.length);
      const both = random.chance(0.5) ? [request, increment(shard, keys, client, sent.length)] : [request];
      await Promise.all(both.map((one) => send(shard, one)));
      for (const key of keys) expected[KEYS.indexOf(key)]! += 1;
      const results = [...request.results];
      sent.push({ keys, client, sequence: sent.length, results, lsns: [...request.lsns] });
      for (const one of both) assert.deepEqual([...one.lsns], [...request.lsns], 'sent twice at once');
    }
    assert.deepEqual(counters(shard), expected, `step ${step}`);
  }
  await shard.store.close();
  assert.deepEqual(shard.fatal, []);
});
