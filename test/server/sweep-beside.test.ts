/**
 * What goes on beside a sweep that is surely under way: backups, and a scan of the past that begins before it and ends after it.
 *
 * Sweeps are made slow by the bandwidth limit, a step a second, and STATUS is asked how far they are: each part of a test waits for
 * the state that it needs, so nothing depends on how fast the machine is.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Millrace, type Scan } from '../../client/index.ts';
import { takeBackup } from '../../server/backup.ts';
import { restoreBackup } from '../../server/restore.ts';
import { storedVersions } from '../support/stored-versions.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { startTestNode } from '../support/test-node.ts';

const MIB = 1024 * 1024;
const ROWS = 8000;
const FILLER = '-'.repeat(600);
const PUT_ROWS = 500;
/** Of a round of all rows there are two flushes, so each round leads to a sweep of some 5 MiB: five steps. */
const SMALL = {
  writeBufferBytes: 8 * MIB,
  compactionLevelZeroBytes: 4 * MIB,
  compactionBytesPerSecond: MIB,
  logLevel: 'silent',
} as const;

interface SweepState {
  readonly sweeps: number;
  readonly isUnderWay: boolean;
  /** Units before it are consumed. */
  readonly cursor: number;
}

async function sweepState(client: Millrace): Promise<SweepState> {
  const { shards } = await client.status();
  const { sweeps, sweepGroup, sweepPartition } = shards[0] as Record<string, number>;
  const cursor = (sweepGroup as number) * 4096 + (sweepPartition as number);
  return { sweeps: sweeps as number, isUnderWay: sweepGroup !== 0, cursor };
}

async function until(client: Millrace, isSo: (state: SweepState) => boolean): Promise<SweepState> {
  for (;;) {
    const state = await sweepState(client);
    if (isSo(state)) return state;
    await delay(20);
  }
}

/** Writes all rows; the writes are held back while level 0 is far too large, and asked for again. */
async function putRound(client: Millrace, round: number, eventTime: number): Promise<void> {
  for (let from = 0; from < ROWS; from += PUT_ROWS) {
    const rows = Array.from({ length: PUT_ROWS }, (_, index) => ({
      id: BigInt(from + index),
      round,
      text: `${from + index} ${FILLER}`,
      event_time: eventTime,
    }));
    await client.put('item', rows, { timeoutMs: 300_000, idempotent: true });
  }
}

async function connected(
  t: TestContext,
  data: string,
): Promise<{ client: Millrace; close(): Promise<void> }> {
  const node = await startTestNode(t, data, SMALL);
  const client = await Millrace.connect(`127.0.0.1:${node.port}`);
  t.after(() => client.close());
  await client.createGroup({
    name: 'item',
    key: { id: 'int64' },
    features: { round: 'int32', text: 'string' },
  });
  const close = async (): Promise<void> => {
    await client.close();
    await node.close();
  };
  return { client, close };
}

async function backUp(client: Millrace, path: string, since?: string): Promise<void> {
  await takeBackup({
    client,
    path,
    bytesPerSecond: 1e12,
    signal: new AbortController().signal,
    onProgress: () => undefined,
    ...(since === undefined ? {} : { since }),
  });
}

test('backups taken in the middle of a sweep hold every version, and so does what is restored of them', async (t) => {
  const root = temporaryDirectory(t);
  const [data, first, second] = [join(root, 'data'), join(root, 'first'), join(root, 'second')];
  const { client, close } = await connected(t, data);
  const eventTime = Date.now() * 1000 - 60e6;
  for (let round = 0; round < 4; round++) await putRound(client, round, eventTime + round);
  const before = await until(client, ({ cursor }) => cursor % 4096 > 0);
  await backUp(client, first);
  const between = await until(
    client,
    ({ sweeps, cursor }) => sweeps > before.sweeps || cursor > before.cursor,
  );
  await backUp(client, second, first);
  const after = await sweepState(client);
  t.diagnostic(
    `sweeps and cursors: ${[before, between, after].map(({ sweeps, cursor }) => `${sweeps}@${cursor}`)}`,
  );
  await close();
  const versions = await storedVersions(data);
  assert.equal(versions.length, 4 * ROWS);
  for (const [index, backup] of [first, second].entries()) {
    const target = join(root, `restored-${index}`);
    await restoreBackup({ backup, target, shards: 1 + 2 * index, onProgress: () => undefined });
    assert.deepEqual(await storedVersions(target), versions);
  }
});

/** Reads on until `isEnough`; answers how many rows came. */
async function readOn(
  scan: Scan,
  found: Map<number, number>,
  isEnough: (rows: number) => boolean,
): Promise<number> {
  for (let rows = 0; ; ) {
    if (isEnough(rows)) return rows;
    const { value: batch } = await scan.next();
    if (batch === undefined) return rows;
    for (let row = 0; row < batch.numRows; row++) {
      const id = Number(batch.getChild('id')!.get(row));
      assert.ok(!found.has(id), `row ${id} came twice`);
      found.set(id, batch.getChild('round')!.get(row) as number);
    }
    rows += batch.numRows;
  }
}

test('a scan of the past goes on through sweeps, and sees the same before, during and after them', async (t) => {
  const { client, close } = await connected(t, join(temporaryDirectory(t), 'data'));
  await client.alterGroup('item', { retentionSeconds: 3600 });
  const eventTime = Date.now() * 1000 - 60e6;
  // Each round is compacted before the next: level 1 has rows of two rounds when the scan begins.
  for (const round of [0, 1]) await putRound(client, round, eventTime + round);
  await client.delete('item', [5n, 6n], { eventTime: eventTime + 1 });
  const readPoint = await client.readPoint();
  const idle = await until(client, ({ isUnderWay, sweeps }) => !isUnderWay && sweeps > 0);
  const view = { asOf: eventTime + 1, readPoint, batchRows: 200 };
  const scan = client.scan('item', { ...view, creditBytes: 64 * 1024 });
  const found = new Map<number, number>();
  const counts = [await readOn(scan, found, (rows) => rows > 0)];

  const writing = (async () => {
    for (const round of [2, 3]) await putRound(client, round, eventTime + round);
  })();
  await until(client, ({ isUnderWay, sweeps }) => isUnderWay && sweeps > idle.sweeps);
  const during = found.size + ROWS / 4;
  counts.push(await readOn(scan, found, () => found.size >= during));
  await writing;
  await until(client, ({ isUnderWay }) => !isUnderWay);
  counts.push(await readOn(scan, found, () => false));
  t.diagnostic(`rows before, during and after the sweeps: ${counts}`);
  assert.ok(counts.every((count) => count > 0));

  const again = new Map<number, number>();
  await readOn(client.scan('item', view), again, () => false);
  for (const [name, rows] of Object.entries({ found, again })) {
    assert.equal(rows.size, ROWS - 2, name);
    assert.ok(!rows.has(5) && !rows.has(6), name);
    assert.ok(
      [...rows.values()].every((round) => round === 1),
      name,
    );
  }
  await close();
});
