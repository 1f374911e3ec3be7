/** Matrices by key: what is asked for, and how the answer is taken. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPERATIONS } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { answerMatrix, EVENT_TIME_MICROS } from './fake-answers.ts';
import { startItems } from './item-fixture.ts';

test('a matrix is asked for as described and given as views of the answer', async (context) => {
  const { server, db, item, schema } = await startItems(context);
  server.on(OPERATIONS.GET_MATRIX, (request) =>
    answerMatrix(schema, request, 1, ({ id }) => (id === 3n ? Number.NaN : Number(id))),
  );
  const matrix = await db.getMatrix(item, [5, 3, 1], { features: ['a'], eventTimes: true });
  assert.ok(matrix.data instanceof Float32Array);
  assert.deepEqual([...matrix.data], [5, Number.NaN, 1]);
  assert.deepEqual([...matrix.found], [1, 0, 1]);
  assert.deepEqual([...matrix.eventTimes!], [EVENT_TIME_MICROS, Number.NaN, EVENT_TIME_MICROS + 2]);
  assert.equal(matrix.data.buffer, matrix.found.buffer, 'one buffer holds all parts');
  const double = await db.getMatrix(item, [5], { features: ['a'], dtype: 'float64' });
  assert.ok(double.data instanceof Float64Array);
  assert.equal(double.eventTimes, null);
  const empty = await db.getMatrix(item, [], { features: ['a'] });
  assert.deepEqual([empty.rows, empty.columns, empty.data.length], [0, 1, 0]);
});

test('a matrix of what is no number, or of nothing, is refused here', async (context) => {
  const { db, item } = await startItems(context);
  await assert.rejects(db.getMatrix(item, [1], { features: ['b'] }), failure('TYPE_MISMATCH', /"b".*string/));
  await assert.rejects(db.getMatrix(item, [1], { features: [] }), failure('BATCH_EMPTY'));
  await assert.rejects(db.getMatrix(item, [1], { features: ['x'] }), failure('FEATURE_NOT_FOUND'));
});

test('an answer of another shape than asked for is refused', async (context) => {
  const { server, db, item, schema } = await startItems(context);
  server.on(OPERATIONS.GET_MATRIX, (request) => answerMatrix(schema, request, 3, () => 1));
  await assert.rejects(db.getMatrix(item, [1], { features: ['a'] }), failure('MALFORMED_REQUEST', /1 × 3/));
});
