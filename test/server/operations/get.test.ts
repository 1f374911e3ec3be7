/**
 * GET over a real store: single gets that are gathered, batches, and the two against each other, for plain keys and for
 * keys that are not, with rows of every size, missing ones among them.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  type ByteWriter,
  compileLayout,
  decodeGetResponse,
  decodeRow,
  encodeGetRequest,
  encodeKeys,
  type FeatureValue,
  type GroupSchema,
  schemaFromSpec,
} from '../../../protocol/index.ts';
import { GATHERED_GETS_MAX } from '../../../server/limits.ts';
import { SeededRandom, testSeed } from '../../support/random-source.ts';
import type { RecordedFrame } from '../../support/recording-session.ts';
import { TEST_NOW_MICROS, TestShard } from '../../support/shard.ts';
import { ShardOperations } from '../../support/shard-operations.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const PLAIN: GroupSchema = schemaFromSpec(
  {
    name: 'plain',
    key: [{ name: 'id', type: 'int64' }],
    features: [
      { name: 'n', type: 'int32' },
      { name: 's', type: 'string' },
    ],
  },
  1,
  0,
);
const NAMED: GroupSchema = schemaFromSpec(
  { name: 'named', key: [{ name: 'name', type: 'string' }], features: [{ name: 'n', type: 'float64' }] },
  2,
  0,
);
const STAMPED: GroupSchema = schemaFromSpec(
  {
    name: 'stamped',
    key: [{ name: 't', type: 'timestamp' }],
    features: [{ name: 'n', type: 'int8' }],
    ttlSeconds: 60,
  },
  3,
  0,
);

interface Found {
  readonly row: Record<string, FeatureValue> | null;
  readonly eventTime: number;
  readonly lsn: number;
}

function rowsOf(response: RecordedFrame, group: GroupSchema): Found[] {
  assert.equal(response.status, 0);
  const answer = decodeGetResponse(response.frame);
  const layout = compileLayout(group);
  return Array.from({ length: answer.count }, (_, index) => ({
    row: answer.isMissing(index) ? null : decodeRow(layout, answer.view, answer.rowAt(index)),
    eventTime: answer.eventTime(index),
    lsn: answer.lsn(index),
  }));
}

async function filled(context: TestContext, count: number): Promise<ShardOperations> {
  const shard = await new TestShard(temporaryDirectory(context)).open();
  context.after(() => shard.store.close());
  const operations = new ShardOperations(shard.store, [PLAIN, NAMED, STAMPED]);
  const ids = Array.from({ length: count }, (_, index) => index);
  // Row sizes on both sides of the copy loop's bound.
  await operations.put(
    PLAIN,
    ids.map((id) => ({
      key: id,
      values: { n: id, s: 'x'.repeat((id * 37) % 3000) },
      eventTime: TEST_NOW_MICROS - id,
    })),
  );
  await operations.put(
    NAMED,
    ids.map((id) => ({ key: `name ${id}`, values: { n: id / 2 } })),
  );
  await operations.put(
    STAMPED,
    ids.map((id) => ({ key: id, values: { n: id % 100 }, eventTime: TEST_NOW_MICROS - (id % 2) * 120e6 })),
  );
  operations.session.taken();
  return operations;
}

function encodeGets(writer: ByteWriter, correlationId: number, group: GroupSchema, keys: unknown[]): void {
  encodeGetRequest(writer, { correlationId }, group.id, encodeKeys(group.key, keys));
}

test('single gets of a chunk give what one batch gives, in their order, whatever group and key', async (context) => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const operations = await filled(context, 500);
  for (let round = 0; round < 30; round++) {
    const asked = Array.from({ length: 1 + random.below(3 * GATHERED_GETS_MAX) }, () => {
      const group = [PLAIN, NAMED, STAMPED][random.below(3)]!;
      const id = random.below(600);
      return { group, key: group === NAMED ? `name ${id}` : id };
    });
    operations.handle((writer) => {
      asked.forEach(({ group, key }, index) => {
        encodeGets(writer, index, group, [key]);
      });
    });
    const singles = operations.session.taken();
    assert.deepEqual(
      singles.map((response) => response.correlationId),
      asked.map((_, index) => index),
    );
    for (const group of [PLAIN, NAMED, STAMPED]) {
      const keys = asked.filter((one) => one.group === group).map((one) => one.key);
      if (keys.length < 2) continue;
      operations.handle((writer) => encodeGets(writer, 1, group, keys));
      const [batch] = operations.session.taken();
      const alone = singles.filter((_, index) => asked[index]!.group === group);
      assert.deepEqual(
        alone.flatMap((response) => rowsOf(response, group)),
        rowsOf(batch!, group),
      );
    }
  }
});

test('a row has its values, event time and LSN; a missing one has none', async (context) => {
  const operations = await filled(context, 10);
  operations.handle((writer) => encodeGets(writer, 1, PLAIN, [3, 77, 9]));
  const [response] = operations.session.taken();
  const found = rowsOf(response!, PLAIN);
  assert.deepEqual(found[0]?.row, { n: 3, s: 'x'.repeat(111) });
  assert.equal(found[0]?.eventTime, TEST_NOW_MICROS - 3);
  assert.ok(found[0]!.lsn >= 1);
  assert.deepEqual(found[1], { row: null, eventTime: 0, lsn: 0 });
  assert.equal(found[2]?.row?.['n'], 9);
});

test('a row past its lifetime is missing', async (context) => {
  const operations = await filled(context, 4);
  operations.handle((writer) => encodeGets(writer, 1, STAMPED, [0, 1, 2, 3]));
  const [response] = operations.session.taken();
  assert.deepEqual(
    rowsOf(response!, STAMPED).map(({ row }) => row?.['n'] ?? null),
    [0, null, 2, null],
  );
});

test('a get that is refused leaves its neighbours of the chunk alone', async (context) => {
  const operations = await filled(context, 10);
  assert.throws(
    () =>
      operations.handle((writer) => {
        encodeGets(writer, 1, PLAIN, [1]);
        encodeGetRequest(writer, { correlationId: 2 }, 99, encodeKeys(PLAIN.key, [2]));
      }),
    { code: 'GROUP_NOT_FOUND' },
  );
  // What was gathered before is answered at the end of a later chunk, as a session does after a refusal.
  operations.handle((writer) => encodeGets(writer, 3, PLAIN, [3]));
  assert.deepEqual(
    operations.session.taken().map((response) => response.correlationId),
    [1, 3],
  );
});

test('a block that cannot be read refuses those who asked for it, and no one else', async (context) => {
  const operations = await filled(context, 40);
  const { store } = operations.shard;
  const tryRead = store.tryRead.bind(store);
  const corrupt = new Set<number>();
  context.mock.method(store, 'tryRead', (...args: Parameters<typeof store.tryRead>) => {
    const keys = args[1];
    for (let index = 0; index < keys.count; index++) {
      const id = new DataView(keys.bytes.buffer, keys.bytes.byteOffset).getUint32(keys.offsets[index]!, true);
      if (corrupt.has(id)) throw Object.assign(new Error('a test'), { code: 'BLOCK_CORRUPT' });
    }
    return tryRead(...args);
  });
  corrupt.add(5).add(17);
  operations.handle((writer) => {
    for (let id = 0; id < 40; id++) encodeGets(writer, id, PLAIN, [id]);
  });
  const responses = operations.session.taken();
  assert.equal(responses.length, 40);
  for (const response of responses) {
    const { correlationId, status } = response;
    assert.equal(status, corrupt.has(correlationId) ? 38 : 0, `${correlationId}`);
    if (status === 0) assert.equal(rowsOf(response, PLAIN)[0]?.row?.['n'], correlationId);
  }
});

test('keys of another shard are refused, alone and in a batch', async (context) => {
  const shard = await new TestShard(temporaryDirectory(context), { shardCount: 2 }).open();
  context.after(() => shard.store.close());
  const operations = new ShardOperations(shard.store, [PLAIN, NAMED], 2);
  let refused = 0;
  for (let id = 0; id < 64; id++) {
    for (const group of [PLAIN, NAMED]) {
      const key = group === NAMED ? `${id}` : id;
      const codes = [[key], [key, key]].map((keys) => {
        try {
          operations.handle((writer) => encodeGets(writer, 1, group, keys));
          return 'OK';
        } catch (error) {
          return (error as { code: string }).code;
        }
      });
      assert.equal(codes[0], codes[1]);
      if (codes[0] === 'NOT_OWNER') refused += 1;
    }
  }
  assert.ok(refused > 30 && refused < 98, `${refused} of 128 refused`);
});
