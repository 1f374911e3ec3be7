/**
 * Reads of more than one turn: a store that always has to wait for its device answers, byte by byte, what one in memory
 * answers; large batches answer what their parts do; and what waits is bounded, has deadlines, and ends with the store.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  type ByteWriter,
  DTYPE_FLOAT32,
  decodeGetMatrixResponse,
  decodeGetResponse,
  encodeGetMatrixRequest,
  encodeGetRequest,
  encodeKeys,
  FRAME_BYTES_MAX,
  type GroupSchema,
  responseBody,
  schemaFromSpec,
} from '../../protocol/index.ts';
import { READ_KEYS_MAX, SHARD_READ_BYTES_MAX, SHARD_READS_MAX } from '../../server/limits.ts';
import { StorageError } from '../../storage/index.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import type { RecordedFrame } from '../support/recording-session.ts';
import { TEST_NOW_MICROS, TestShard } from '../support/shard.ts';
import { ShardOperations } from '../support/shard-operations.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const GROUP: GroupSchema = schemaFromSpec(
  {
    name: 'g',
    key: [{ name: 'id', type: 'int64' }],
    features: [
      { name: 'n', type: 'float32' },
      { name: 'd', type: 'float64' },
      { name: 's', type: 'string' },
    ],
  },
  1,
  0,
);

interface Built {
  readonly operations: ShardOperations;
  readonly shard: TestShard;
}

/** `isSlow`: every read of a block takes 100 µs on the store's clock, and hardly anything is cached. */
async function built(
  context: TestContext,
  rowCount: number,
  stringBytes: number,
  isSlow: boolean,
): Promise<Built> {
  let micros = 0;
  const slow = {
    cacheBytes: 64 * 1024,
    timerMicros: (): number => {
      micros += 100;
      return micros;
    },
  };
  const shard = await new TestShard(temporaryDirectory(context), isSlow ? slow : {}).open();
  context.after(() => shard.store.close());
  const operations = new ShardOperations(shard.store, [GROUP]);
  for (let from = 0; from < rowCount; from += 1000) {
    await operations.put(
      GROUP,
      Array.from({ length: Math.min(1000, rowCount - from) }, (_, index) => {
        const id = from + index;
        return {
          key: id,
          values: { n: id / 4, d: id % 7 === 0 ? null : id, s: 'x'.repeat((id * 31) % stringBytes) },
          eventTime: TEST_NOW_MICROS - id,
        };
      }),
    );
  }
  await shard.store.flush();
  operations.session.taken();
  return { operations, shard };
}

function encodeRead(
  writer: ByteWriter,
  correlationId: number,
  ids: number[],
  isMatrix: boolean,
  timeoutMs = 0,
): void {
  const keys = encodeKeys(GROUP.key, ids);
  const header = { correlationId, timeoutMs };
  if (!isMatrix) {
    encodeGetRequest(writer, header, GROUP.id, keys);
    return;
  }
  const featureIds = [1, 2];
  const body = { groupId: GROUP.id, dtype: DTYPE_FLOAT32, withEventTimes: true, featureIds, keys };
  encodeGetMatrixRequest(writer, header, body);
}

/** The answers of so many requests, by correlation id, as they come. */
async function answersOf({ operations }: Built, count: number): Promise<Map<number, RecordedFrame>> {
  const answers = new Map<number, RecordedFrame>();
  while (answers.size < count) {
    for (const answer of operations.session.taken()) {
      assert.ok(!answers.has(answer.correlationId), 'answered once');
      answers.set(answer.correlationId, answer);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return answers;
}

/** Settles when no read waits any more. */
async function ended({ operations }: Built): Promise<void> {
  while (operations.reads.inFlight > 0) await new Promise((resolve) => setImmediate(resolve));
}

test('a store that waits for its device answers as one in memory does', async (context) => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const slow = await built(context, 2000, 300, true);
  const fast = await built(context, 2000, 300, false);
  for (let round = 0; round < 40; round++) {
    const requests = Array.from({ length: 1 + random.below(40) }, () => {
      const length = random.chance(0.6) ? 1 : 1 + random.below(200);
      const ids = Array.from({ length }, () => random.below(2200));
      return { ids, isMatrix: random.chance(0.4) };
    });
    for (const { operations } of [slow, fast]) {
      operations.handle((writer) => {
        requests.forEach(({ ids, isMatrix }, index) => {
          encodeRead(writer, index, ids, isMatrix);
        });
      });
    }
    const expected = await answersOf(fast, requests.length);
    for (const [correlationId, { frame }] of await answersOf(slow, requests.length)) {
      assert.ok(
        Buffer.from(frame.bytes).equals(Buffer.from(expected.get(correlationId)!.frame.bytes)),
        `seed ${seed}, round ${round}, request ${correlationId}`,
      );
    }
  }
  await ended(slow);
  assert.ok(slow.shard.store.status().readsWaited > 0);
  assert.deepEqual([slow.operations.reads.inFlight, slow.operations.reads.bytes], [0, 0]);
  assert.equal(slow.operations.session.requestsInFlight, 0);
});

test('a batch of many slices answers what its parts answer', async (context) => {
  const random = new SeededRandom(testSeed());
  for (const isSlow of [false, true]) {
    const one = await built(context, 3000, 1200, isSlow);
    const ids = Array.from({ length: 5 * READ_KEYS_MAX + 77 }, () => random.below(3300));
    const parts: number[][] = [];
    for (let from = 0; from < ids.length; from += 100) parts.push(ids.slice(from, from + 100));
    for (const isMatrix of [false, true]) {
      one.operations.handle((writer) => encodeRead(writer, 0, ids, isMatrix));
      const whole = (await answersOf(one, 1)).get(0)!;
      assert.equal(whole.status, 0);
      one.operations.handle((writer) => {
        parts.forEach((part, index) => {
          encodeRead(writer, index, part, isMatrix);
        });
      });
      const answers = await answersOf(one, parts.length);
      const ordered = parts.map((_, index) => answers.get(index)!);
      const describe = isMatrix ? cellsOf : rowsOf;
      assert.deepEqual(describe(whole), ordered.flatMap(describe));
    }
  }
});

function rowsOf({ frame }: RecordedFrame): unknown[] {
  const answer = decodeGetResponse(frame);
  return Array.from({ length: answer.count }, (_, index) => {
    if (answer.isMissing(index)) return null;
    const from = answer.rowAt(index);
    const bytes = answer.view.getUint32(from, true);
    return [answer.eventTime(index), answer.lsn(index), bytes];
  });
}

function cellsOf({ frame }: RecordedFrame): unknown[] {
  const shape = decodeGetMatrixResponse(frame);
  const body = responseBody(frame);
  const { view, bytes } = frame;
  return Array.from({ length: shape.rowCount }, (_, row) => [
    bytes[body + shape.foundAt + row],
    bytes[body + shape.validityAt + row * shape.validityStride],
    view.getBigInt64(body + shape.eventTimesAt + 8 * row, true),
    view.getUint32(body + shape.dataAt + 8 * row, true),
    view.getUint32(body + shape.dataAt + 8 * row + 4, true),
  ]);
}

test('rows that are too much for one response are refused, however many slices they take', async (context) => {
  const one = await built(context, 40, 1, false);
  const large = Array.from({ length: 40 }, (_, id) => ({
    key: id,
    values: { n: id, d: id, s: 'y'.repeat(900_000) },
  }));
  for (const row of large) await one.operations.put(GROUP, [row]);
  one.operations.session.taken();
  one.operations.handle((writer) => {
    encodeRead(
      writer,
      1,
      Array.from({ length: 40 }, (_, id) => id),
      false,
    );
    encodeRead(
      writer,
      2,
      Array.from({ length: 15 }, (_, id) => id),
      false,
    );
  });
  const answers = await answersOf(one, 2);
  assert.notEqual(answers.get(1)?.status, 0);
  assert.equal(rowsOf(answers.get(2)!).length, 15);
  assert.ok(answers.get(2)!.frame.end > 15 * 900_000 && answers.get(2)!.frame.end < FRAME_BYTES_MAX);
});

type Done = (error: StorageError | null) => void;

/** A store whose reads wait until the test ends them. */
async function held(context: TestContext): Promise<Built & { ends: Done[]; letGo: () => void }> {
  const one = await built(context, 100, 30, false);
  const { store } = one.shard;
  const tryRead = store.tryRead.bind(store);
  const ends: Done[] = [];
  let isHeld = true;
  context.mock.method(store, 'tryRead', (...args: Parameters<typeof store.tryRead>) => {
    if (!isHeld) return tryRead(...args);
    if (args[4] !== null) ends.push(args[4]);
    return false;
  });
  const letGo = (): void => {
    isHeld = false;
    for (const end of ends.splice(0)) end(null);
  };
  return { ...one, ends, letGo };
}

test('a read whose deadline passes while it waits is told so once, and its neighbour is answered', async (context) => {
  const one = await held(context);
  one.operations.handle((writer) => {
    encodeRead(writer, 1, [1], false, 20);
    encodeRead(writer, 2, [1, 2], true, 20);
    encodeRead(writer, 3, [3], false);
  });
  one.operations.nowMs = 50;
  const late = await answersOf(one, 2);
  assert.deepEqual([...late.keys()].sort(), [1, 2]);
  for (const { status } of late.values()) assert.notEqual(status, 0);
  assert.equal(one.operations.reads.inFlight, 3, 'the store has not let go of them');
  one.letGo();
  assert.equal(rowsOf((await answersOf(one, 1)).get(3)!).length, 1);
  await ended(one);
  assert.deepEqual([one.operations.reads.inFlight, one.operations.reads.bytes], [0, 0]);
  assert.equal(one.operations.session.requestsInFlight, 0);
});

test('a connection that is gone is not answered, and what its reads kept is given back', async (context) => {
  const one = await held(context);
  one.operations.handle((writer) => {
    encodeRead(writer, 1, [1], false);
    encodeRead(
      writer,
      2,
      Array.from({ length: 2000 }, (_, id) => id),
      true,
    );
  });
  one.operations.session.close();
  one.letGo();
  await ended(one);
  assert.deepEqual(one.operations.session.taken(), []);
  assert.deepEqual([one.operations.reads.inFlight, one.operations.reads.bytes], [0, 0]);
  assert.equal(one.operations.session.requestsInFlight, 0);
});

test('a flood of reads that wait is refused beyond its bounds, and all others are answered', async (context) => {
  const one = await held(context);
  const asked = SHARD_READS_MAX + 100;
  one.operations.handle((writer) => {
    for (let id = 0; id < asked; id++) encodeRead(writer, id, [id % 100], false);
  });
  const refused = one.operations.session.taken();
  assert.equal(refused.length, 100);
  assert.ok(refused.every(({ status }) => status !== 0));
  assert.equal(one.operations.reads.inFlight, SHARD_READS_MAX);
  assert.ok(one.operations.reads.bytes <= SHARD_READ_BYTES_MAX);
  one.letGo();
  const answers = await answersOf(one, SHARD_READS_MAX);
  assert.ok([...answers.values()].every(({ status }) => status === 0));
  await ended(one);
  assert.deepEqual([one.operations.reads.inFlight, one.operations.reads.bytes], [0, 0]);
});

test('large reads that wait are bounded by their bytes', async (context) => {
  const one = await held(context);
  const ids = Array.from({ length: 2 * READ_KEYS_MAX }, (_, index) => index % 100);
  let taken = 0;
  assert.throws(
    () => {
      for (; taken < 1000; taken++) one.operations.handle((writer) => encodeRead(writer, taken, ids, false));
    },
    { code: 'OVERLOADED' },
  );
  assert.ok(taken >= 15 && taken * FRAME_BYTES_MAX <= SHARD_READ_BYTES_MAX, `${taken} reads`);
  one.letGo();
  const answers = await answersOf(one, taken);
  assert.ok([...answers.values()].every(({ status }) => status === 0));
});

test('reads that wait when the store closes are told so', async (context) => {
  const one = await held(context);
  one.operations.handle((writer) => encodeRead(writer, 1, [1, 2], false));
  one.ends[0]?.(new StorageError('SHUTTING_DOWN', 'read refused: the shard is closing'));
  await ended(one);
  const [answer] = one.operations.session.taken();
  assert.notEqual(answer?.status, 0);
  assert.equal(one.operations.reads.inFlight, 0);
});
