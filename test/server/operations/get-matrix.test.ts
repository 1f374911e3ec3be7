/** GET_MATRIX over a real store against rows read by GET's decoder: values, validity, event times, in both dtypes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DTYPE_FLOAT32,
  DTYPE_FLOAT64,
  decodeGetMatrixResponse,
  encodeGetMatrixRequest,
  encodeKeys,
  type FeatureSpec,
  type GroupSchema,
  readInt64,
  responseBody,
  schemaFromSpec,
} from '../../../protocol/index.ts';
import { SeededRandom, testSeed } from '../../support/random-source.ts';
import { TEST_NOW_MICROS, TestShard } from '../../support/shard.ts';
import { ShardOperations } from '../../support/shard-operations.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const FEATURES: FeatureSpec[] = [
  { name: 'text', type: 'string' },
  { name: 'a', type: 'float32' },
  { name: 'b', type: 'float32' },
  { name: 'v', type: 'vector', length: 3 },
  { name: 'n', type: 'int16' },
  { name: 'd', type: 'float64' },
];
const GROUP: GroupSchema = schemaFromSpec(
  { name: 'g', key: [{ name: 'id', type: 'int64' }], features: FEATURES },
  1,
  0,
);
const LENGTHS: Readonly<Record<number, number>> = { 2: 1, 3: 1, 4: 3, 5: 1, 6: 1 };
const ROWS = 200;

test('a matrix has what the rows have, for any features, keys and dtype', async (context) => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const shard = await new TestShard(temporaryDirectory(context)).open();
  context.after(() => shard.store.close());
  const operations = new ShardOperations(shard.store, [GROUP]);
  const orNull = <T>(value: T): T | null => (random.chance(0.2) ? null : value);
  const rows = Array.from({ length: ROWS }, (_, id) => ({
    key: id,
    eventTime: TEST_NOW_MICROS - random.below(1e9),
    values: {
      text: 'x'.repeat(random.below(50)),
      a: orNull(id / 2),
      b: orNull(-id),
      v: orNull([id, 1 / 3, 0]),
      n: orNull(id),
      d: orNull(id / 7),
    } as Record<string, unknown>,
  }));
  await operations.put(GROUP, rows);
  operations.session.taken();
  for (let round = 0; round < 60; round++) {
    const featureIds = Array.from({ length: 1 + random.below(7) }, () => 2 + random.below(5));
    const ids = Array.from({ length: 1 + random.below(70) }, () => random.below(ROWS * 1.2));
    const dtype = random.chance(0.5) ? DTYPE_FLOAT32 : DTYPE_FLOAT64;
    const withEventTimes = random.chance(0.5);
    const keys = encodeKeys(GROUP.key, ids);
    operations.handle((writer) =>
      encodeGetMatrixRequest(
        writer,
        { correlationId: 8 },
        { groupId: GROUP.id, dtype, withEventTimes, featureIds, keys },
      ),
    );
    const [response] = operations.session.taken();
    const { frame } = response!;
    const shape = decodeGetMatrixResponse(frame);
    const body = responseBody(frame);
    const cell = (row: number, column: number): number => {
      const index = row * shape.columnCount + column;
      return dtype === DTYPE_FLOAT32
        ? frame.view.getFloat32(body + shape.dataAt + 4 * index, true)
        : frame.view.getFloat64(body + shape.dataAt + 8 * index, true);
    };
    const round32 = (value: number): number => (dtype === DTYPE_FLOAT32 ? Math.fround(value) : value);
    ids.forEach((id, row) => {
      const source = rows[id];
      assert.equal(frame.bytes[body + shape.foundAt + row], source === undefined ? 0 : 1);
      if (withEventTimes) {
        const time = readInt64(frame.view, body + shape.eventTimesAt + 8 * row);
        assert.equal(time, source?.eventTime ?? 0);
      }
      let column = 0;
      for (const featureId of featureIds) {
        const value = source?.values[FEATURES[featureId - 1]!.name] ?? null;
        for (let item = 0; item < LENGTHS[featureId]!; item++, column++) {
          const stored = Array.isArray(value) ? Math.fround(value[item] as number) : (value as number | null);
          const bit = frame.bytes[body + shape.validityAt + row * shape.validityStride + (column >> 3)]!;
          assert.equal((bit >> (column & 7)) & 1, stored === null ? 0 : 1, `seed ${seed}`);
          const expected =
            stored === null ? Number.NaN : round32(featureId < 4 ? Math.fround(stored) : stored);
          assert.deepEqual(cell(row, column) + 0, expected + 0, `seed ${seed}, round ${round}`);
        }
      }
      assert.equal(column, shape.columnCount);
    });
  }
});
