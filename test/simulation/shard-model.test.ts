/**
 * Random operations against a real store and a small model: every answer must be the model's, whatever the store did in
 * between (flush, sweep, restart, a clock that jumps), and under whatever options.
 *
 * fast-check draws the sequences, and shrinks one that fails to the few operations that matter. MILLRACE_SEED replays a run;
 * MODEL_RUNS makes it longer. Blocks are 4072 bytes by their format, so their size is not among the options.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type GroupPolicies,
  RESULT_APPLIED,
  RESULT_HISTORY,
  RESULT_SUPERSEDED,
  refusalResult,
} from '../../storage/index.ts';
import { testSeed } from '../support/random-source.ts';
import { TEST_NOW_MICROS, temporaryDirectory } from '../support/shard.ts';
import { ModelStore, partitionOfKey, type StoreVariant, type StoreWrite } from './model-store.ts';
import {
  GROUPS,
  KEYS,
  LATENESS_SECONDS,
  type Operation,
  operation,
  RETENTION_SECONDS,
} from './operations.ts';
import { type ModelAnswer, type ModelResult, RowModel } from './row-model.ts';

const RUNS = Number(process.env['MODEL_RUNS'] ?? 25);
const OPERATIONS_MAX = 60;
/** Shrinking ends here at the latest: what it has come to by then is small enough. */
const TIME_LIMIT_MS = 120_000;
const KIB = 1024;

/** A repeated request is known for ten minutes by its commit time, whatever compaction does. */
const REPEAT_MICROS_MAX = 300e6;

const POLICIES: GroupPolicies = {
  policyOf: (group) => ({
    retentionMicros: (RETENTION_SECONDS[group] as number) * 1e6,
    latenessMicros: (LATENESS_SECONDS[group] as number) * 1e6,
    durability: 'journal',
  }),
};

const COMMON = { journalSegmentBytes: 256 * KIB, policies: POLICIES };
const EAGER = { levelZeroBytesMax: 8 * KIB };

const VARIANTS: readonly StoreVariant[] = [
  {
    name: 'flushes and sweeps when told',
    shardCount: 1,
    options: { ...COMMON, writeBufferBytes: 8192 * KIB },
  },
  {
    name: 'flushes and sweeps all the time',
    shardCount: 1,
    options: { ...COMMON, writeBufferBytes: 8 * KIB, compaction: EAGER, indexCheckpointBytes: 16 * KIB },
  },
  {
    name: 'no cache',
    shardCount: 1,
    options: { ...COMMON, writeBufferBytes: 16 * KIB, cacheBytes: 0, compaction: EAGER },
  },
  {
    name: 'blocks of a quarter of a page',
    shardCount: 1,
    options: { ...COMMON, writeBufferBytes: 16 * KIB, blockFillBytes: KIB, compaction: EAGER },
  },
  {
    name: 'three shards',
    shardCount: 3,
    options: { ...COMMON, writeBufferBytes: 16 * KIB, compaction: EAGER },
  },
];

const RESULT_NUMBERS: Readonly<Record<ModelResult, number>> = {
  applied: RESULT_APPLIED,
  superseded: RESULT_SUPERSEDED,
  history: RESULT_HISTORY,
  TOO_LATE: refusalResult('TOO_LATE'),
  EVENT_TIME_IN_FUTURE: refusalResult('EVENT_TIME_IN_FUTURE'),
  VERSION_MISMATCH: refusalResult('VERSION_MISMATCH'),
  LATE_PATCH: refusalResult('LATE_PATCH'),
};

/** One sequence on one store, compared with the model all along. */
class Run {
  readonly said: string[] = [];
  readonly #directory: ReturnType<typeof temporaryDirectory> = temporaryDirectory();
  readonly #name: string;
  readonly #model: RowModel = new RowModel(TEST_NOW_MICROS, partitionOfKey);
  readonly #store: ModelStore;
  /** Keyed requests, the newest last, and what each row was answered. */
  readonly #keyed: {
    readonly write: StoreWrite;
    readonly answers: ModelAnswer[];
    readonly atMicros: number;
  }[] = [];

  constructor(variant: StoreVariant) {
    this.#name = variant.name;
    this.#store = new ModelStore(this.#directory.path, variant, TEST_NOW_MICROS);
  }

  async run(operations: readonly Operation[]): Promise<string[]> {
    await this.#store.open();
    try {
      for (const [step, one] of operations.entries()) {
        const where = `${this.#name}, step ${step}`;
        this.said.push(await this.#apply(one, where));
      }
      await this.#restart();
      this.said.push(await this.#read(`${this.#name}, started again`));
      return this.said;
    } finally {
      await this.#store.close();
      this.#directory.remove();
    }
  }

  async #apply(one: Operation, where: string): Promise<string> {
    switch (one.do) {
      case 'put':
      case 'patch':
      case 'delete':
        return this.#write(one, where);
      case 'repeat':
        return this.#repeat(one.back, where);
      case 'history':
        return this.#history(one, where);
      case 'read':
        return this.#read(where);
      case 'advance':
        this.#model.nowMicros += one.seconds * 1e6;
        this.#store.setClock(this.#model.nowMicros);
        return '';
      case 'flush':
        await this.#store.flush();
        return '';
      case 'compact':
        await this.#store.compact();
        return '';
      case 'restart':
        await this.#restart();
        return '';
    }
  }

  async #restart(): Promise<void> {
    await this.#store.close();
    await this.#store.open();
  }

  #write(one: Extract<Operation, { do: 'put' | 'delete' | 'patch' }>, where: string): Promise<string> {
    const model = this.#model;
    const keys = one.rows.map((row) => KEYS[row.key] as string);
    const condition = one.do === 'delete' ? null : one.condition;
    const off = condition === 'wrong' ? 1 : 0;
    const isKeyed = one.do !== 'delete' && one.rows.length % 2 === 1;
    const write: StoreWrite = {
      kind: one.do,
      group: one.group,
      keys,
      eventMicros: one.rows.map((row) => model.nowMicros + row.offsetSeconds * 1e6),
      values: one.rows.map((row) => (one.do === 'delete' ? '' : `${row.value}-`.repeat(row.value))),
      ttlSeconds: one.do === 'put' ? one.ttlSeconds : 0,
      isBackfill: one.do === 'put' && one.isBackfill,
      ifVersions: condition === null ? null : keys.map((key) => model.versionOf(one.group, key) + off),
      sequence: isKeyed ? this.#keyed.length + 1 : null,
    };
    const answers: ModelAnswer[] = keys.map(() => ({ result: 'applied', lsn: 0 }));
    if (isKeyed) this.#keyed.push({ write, answers, atMicros: model.nowMicros });
    return this.#send(write, answers, where);
  }

  /** A row that was written is answered as it was; one that was refused is decided anew. */
  async #repeat(back: number, where: string): Promise<string> {
    const keyed = this.#keyed[this.#keyed.length - 1 - back];
    if (keyed === undefined || Math.abs(this.#model.nowMicros - keyed.atMicros) > REPEAT_MICROS_MAX)
      return '';
    return this.#send(keyed.write, keyed.answers, `${where}, again`);
  }

  async #send(write: StoreWrite, answers: ModelAnswer[], where: string): Promise<string> {
    const { group, kind, ttlSeconds, isBackfill = false, ifVersions = null } = write;
    for (const [at, key] of write.keys.entries()) {
      if (answers[at]!.lsn > 0) continue;
      answers[at] = this.#model.write({
        group,
        key,
        eventMicros: write.eventMicros[at] as number,
        kind,
        value: write.values[at] as string,
        ttlSeconds,
        isBackfill,
        ifVersion: ifVersions === null ? null : (ifVersions[at] as number),
      });
    }
    const said = await this.#store.write(write);
    const expected = answers.map(({ result, lsn }) => ({ result: RESULT_NUMBERS[result], lsn }));
    assert.deepEqual(said, expected, where);
    return JSON.stringify(said);
  }

  async #read(where: string): Promise<string> {
    const said: unknown[] = [];
    for (const group of GROUPS) {
      const expected = KEYS.map((key) => this.#model.get(group, key));
      const got = this.#store.get(group, KEYS);
      assert.deepEqual(got, expected, `${where}: lookups of group ${group}`);
      const scanned = await this.#store.scan(group, KEYS);
      assert.deepEqual(scanned, liveOf(expected), `${where}: a scan of group ${group}`);
      said.push(got);
    }
    return JSON.stringify(said);
  }

  async #history(one: Extract<Operation, { do: 'history' }>, where: string): Promise<string> {
    const now = this.#model.nowMicros;
    const asOfMicros = now - one.asOfAgo * 1e6;
    const readPointMicros = now - one.readPointAgo * 1e6;
    const sinceMicros = one.sinceAgo === null ? null : now - one.sinceAgo * 1e6;
    const expected = KEYS.map((key) =>
      this.#model.asOf(one.group, key, asOfMicros, readPointMicros, sinceMicros),
    );
    if (expected.includes(undefined)) return '';
    const view = { bounds: { asOfMicros, readPointMicros }, sinceMicros };
    const scanned = await this.#store.scan(one.group, KEYS, view);
    assert.deepEqual(scanned, liveOf(expected as (string | null)[]), `${where}: ${JSON.stringify(one)}`);
    return JSON.stringify(scanned);
  }
}

function liveOf(values: readonly (string | null)[]): { key: string; value: string }[] {
  return KEYS.flatMap((key, at) => (values[at] === null ? [] : [{ key, value: values[at] as string }]));
}

test('a store answers as the model does, and alike under other options', async (context) => {
  const seed = testSeed() | 0;
  context.diagnostic(`MILLRACE_SEED=${seed}`);
  const operations = fc.array(operation, { minLength: 1, maxLength: OPERATIONS_MAX });
  const property = fc.asyncProperty(operations, async (sequence) => {
    const said = await Promise.all(VARIANTS.map((variant) => new Run(variant).run(sequence)));
    for (const [index, { name }] of VARIANTS.entries()) assert.deepEqual(said[index], said[0], name);
  });
  await fc.assert(property, { seed, numRuns: RUNS, interruptAfterTimeLimit: TIME_LIMIT_MS });
});
