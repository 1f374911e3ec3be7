/**
 * Random operations against a real store and a small model: every answer must be the model's, whatever the store did in
 * between (flush, restart, a clock that jumps), and under whatever options.
 *
 * fast-check draws the sequences, and shrinks one that fails to the few operations that matter. MILLRACE_SEED replays a run;
 * MODEL_RUNS makes it longer. Blocks are 4072 bytes by their format, so their size is not among the options.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RESULT_APPLIED, RESULT_SUPERSEDED } from '../../storage/index.ts';
import { testSeed } from '../support/random-source.ts';
import { TEST_NOW_MICROS, temporaryDirectory } from '../support/shard.ts';
import { ModelStore, partitionOfKey, type StoreVariant } from './model-store.ts';
import { GROUPS, KEYS, type Operation, operation } from './operations.ts';
import { RowModel } from './row-model.ts';

const RUNS = Number(process.env['MODEL_RUNS'] ?? 25);
const OPERATIONS_MAX = 60;
/** Shrinking ends here at the latest: what it has come to by then is small enough. */
const TIME_LIMIT_MS = 120_000;
const KIB = 1024;

const SMALL_JOURNAL = { journalSegmentBytes: 256 * KIB };

const VARIANTS: readonly StoreVariant[] = [
  { name: 'flushes when told', shardCount: 1, options: { ...SMALL_JOURNAL, writeBufferBytes: 8192 * KIB } },
  { name: 'flushes all the time', shardCount: 1, options: { ...SMALL_JOURNAL, writeBufferBytes: 8 * KIB } },
  {
    name: 'no cache',
    shardCount: 1,
    options: { ...SMALL_JOURNAL, writeBufferBytes: 16 * KIB, cacheBytes: 0 },
  },
  { name: 'three shards', shardCount: 3, options: { ...SMALL_JOURNAL, writeBufferBytes: 16 * KIB } },
];

/** One sequence on one store, compared with the model all along; answers what the store said, for other options to agree with. */
async function run(variant: StoreVariant, operations: readonly Operation[]): Promise<string[]> {
  const directory = temporaryDirectory();
  const model = new RowModel(TEST_NOW_MICROS, partitionOfKey);
  const store = await new ModelStore(directory.path, variant, model.nowMicros).open();
  const said: string[] = [];
  try {
    for (const [step, one] of operations.entries()) {
      said.push(await apply(store, model, one, `${variant.name}, step ${step}`));
    }
    said.push(await read(store, model, `${variant.name}, at the end`));
    await store.close();
    await store.open();
    said.push(await read(store, model, `${variant.name}, started again`));
    return said;
  } finally {
    await store.close();
    directory.remove();
  }
}

async function apply(store: ModelStore, model: RowModel, one: Operation, where: string): Promise<string> {
  switch (one.do) {
    case 'put':
    case 'delete':
      return write(store, model, one, where);
    case 'advance':
      model.nowMicros += one.seconds * 1e6;
      store.setClock(model.nowMicros);
      return '';
    case 'read':
      return read(store, model, where);
    case 'flush':
      await store.flush();
      return '';
    case 'restart':
      await store.close();
      await store.open();
      return '';
  }
}

async function write(
  store: ModelStore,
  model: RowModel,
  one: Extract<Operation, { do: 'put' | 'delete' }>,
  where: string,
): Promise<string> {
  const ttlSeconds = one.do === 'put' ? one.ttlSeconds : 0;
  const rows = one.rows.map((row) => ({
    key: KEYS[row.key] as string,
    eventMicros: model.nowMicros + row.offsetSeconds * 1e6,
    value: one.do === 'put' ? `${row.value}-`.repeat(row.value) : null,
  }));
  const expected = one.rows.map((row, at) => {
    const { key, value } = rows[at]!;
    const { lsn, isNewest } = model.write(one.group, key, row, value, ttlSeconds);
    return { result: isNewest ? RESULT_APPLIED : RESULT_SUPERSEDED, lsn };
  });
  const answers = await store.write(one.group, rows, ttlSeconds);
  assert.deepEqual(answers, expected, where);
  return JSON.stringify(answers);
}

async function read(store: ModelStore, model: RowModel, where: string): Promise<string> {
  const said: unknown[] = [];
  for (const group of GROUPS) {
    const expected = KEYS.map((key) => model.get(group, key));
    const got = store.get(group, KEYS);
    assert.deepEqual(got, expected, `${where}: lookups of group ${group}`);
    const live = KEYS.flatMap((key, at) => (expected[at] === null ? [] : [{ key, value: expected[at] }]));
    const scanned = await store.scan(group, KEYS);
    assert.deepEqual(scanned, live, `${where}: a scan of group ${group}`);
    said.push(got);
  }
  return JSON.stringify(said);
}

test('a store answers as the model does, and alike under other options', async (context) => {
  const seed = testSeed() | 0;
  context.diagnostic(`MILLRACE_SEED=${seed}`);
  const operations = fc.array(operation, { minLength: 1, maxLength: OPERATIONS_MAX });
  const property = fc.asyncProperty(operations, async (sequence) => {
    const said = await Promise.all(VARIANTS.map((variant) => run(variant, sequence)));
    for (const [index, { name }] of VARIANTS.entries()) assert.deepEqual(said[index], said[0], name);
  });
  await fc.assert(property, { seed, numRuns: RUNS, interruptAfterTimeLimit: TIME_LIMIT_MS });
});
