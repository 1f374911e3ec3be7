/**
 * A soak: one real node under mixed load for as long as told, with kills, restarts and backups, and every answer checked.
 *
 *   npm run soak -- --minutes 30 [--seed S] [--report FILE]
 *
 * Writers put, overwrite, patch and delete rows of their own and look up rows of all; a scanner reads whole groups; the node is killed
 * or restarted every 45 s, after which every row of every group is read; backups are taken in chains of three, and each chain's
 * last is restored for another shard count and compared. What a row may be is told by soak-model.ts.
 *
 * Exits 0 when nothing was wrong, else 1. The seed fixes what is asked for, not when: processes and the clock go their own way.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Group, type Millrace, MillraceError } from '../client/index.ts';
import { SeededChoice } from './soak-choice.ts';
import { DELETED, PUT, SOAK_FEATURES, SoakModel, type SoakRow, soakRow, valueFault } from './soak-model.ts';
import { millrace, SoakNode } from './soak-node.ts';
import { type SoakSample, soakReport } from './soak-report.ts';

const GROUPS = [
  { name: 'forever', retentionSeconds: 0 },
  { name: 'minute', retentionSeconds: 60 },
  { name: 'hour', retentionSeconds: 3600 },
] as const;
const ROWS = 20_000;
const WRITERS = 4;
const BATCH_ROWS_MAX = 200;
const LOOKUP_ROWS = 200;
const PAUSE_MS = 20;
const RESTART_EVERY_MS = 45_000;
const BACKUP_EVERY_MS = 100_000;
const SCAN_EVERY_MS = 12_000;
const SAMPLE_EVERY_MS = 10_000;
const CHAIN_LENGTH = 3;
const FAULTS_SHOWN_MAX = 20;

class Soak {
  readonly counts: Record<string, number> = {};
  readonly faults: string[] = [];
  readonly samples: SoakSample[] = [];
  readonly node: SoakNode;
  private readonly models = GROUPS.map(() => new SoakModel(ROWS));
  private readonly eventTimes = GROUPS.map(() => new Float64Array(ROWS));
  private readonly root: string;
  private readonly choice: SeededChoice;
  private readonly startedMs: number = performance.now();
  private readonly endMs: number;
  /** Held while the node is down or every row is read: who uses the node waits for it. */
  private gate: Promise<void> = Promise.resolve();
  private busy = 0;
  private hasPatch = true;
  private hasScans = true;
  private sampledWrites = 0;

  constructor(root: string, minutes: number, seed: number) {
    this.root = root;
    this.endMs = performance.now() + minutes * 60_000;
    this.choice = new SeededChoice(seed);
    this.node = new SoakNode(join(root, 'data'), 2);
  }

  async run(): Promise<void> {
    await this.node.start();
    for (const { name, retentionSeconds } of GROUPS) {
      await this.node.client.createGroup({
        name,
        key: { id: 'int64' },
        features: SOAK_FEATURES,
        retentionSeconds,
      });
    }
    const writers = Array.from({ length: WRITERS }, (_, writer) => this.write(writer));
    await Promise.all([...writers, this.scan(), this.restart(), this.backUp(), this.sample()]);
    await this.closed(() => this.verifyAll(this.node.client, this.bounds(), 'at the end'));
    this.takeSample();
    await this.node.stop();
  }

  private get isOver(): boolean {
    return performance.now() >= this.endMs;
  }

  private count(what: string, by: number): void {
    this.counts[what] = (this.counts[what] ?? 0) + by;
  }

  private fault(text: string | undefined): void {
    if (text === undefined) return;
    this.count('mismatches', 1);
    if (this.faults.length < FAULTS_SHOWN_MAX) {
      this.faults.push(`${Math.floor((performance.now() - this.startedMs) / 1000)} s: ${text}`);
      process.stderr.write(`MISMATCH ${this.faults.at(-1)}\n`);
    }
  }

  /** Uses the node; a failure because it was killed or closed meanwhile is told by false. */
  private async use(run: (client: Millrace) => Promise<void>): Promise<boolean> {
    await this.gate;
    this.busy += 1;
    try {
      await run(this.node.client);
      return true;
    } catch (error) {
      if (!isInterruption(error)) this.fault(`an operation failed: ${String(error)}`);
      this.count('interrupted operations', 1);
      await delay(50);
      return false;
    } finally {
      this.busy -= 1;
    }
  }

  /** Runs alone: after everything in use has ended, and before anything else begins. */
  private async closed(
    run: () => Promise<void>,
    before: () => Promise<void> = async () => {},
  ): Promise<void> {
    await this.gate;
    let open: () => void = () => {};
    this.gate = new Promise((resolve) => {
      open = resolve;
    });
    try {
      await before();
      while (this.busy > 0) await delay(5);
      await run();
    } finally {
      open();
    }
  }

  private async write(writer: number): Promise<void> {
    while (!this.isOver) {
      const at = this.choice.below(GROUPS.length);
      const draw = this.choice.below(100);
      if (draw < 45) await this.writeRows(at, writer, 'put');
      else if (draw < 53) await this.writeRows(at, writer, 'delete');
      else if (draw < 60) await this.writeRows(at, writer, this.hasPatch ? 'patch' : 'put');
      else if (draw < 90) await this.lookUp(at);
      else await this.readMatrix(at);
      await delay(PAUSE_MS);
    }
  }

  private async writeRows(at: number, writer: number, how: 'put' | 'patch' | 'delete'): Promise<void> {
    const model = this.models[at]!;
    const count = 1 + this.choice.below(how === 'delete' ? 20 : BATCH_ROWS_MAX);
    const ids = new Set<number>();
    while (ids.size < count) ids.add(this.choice.below(ROWS / WRITERS) * WRITERS + writer);
    const chosen = [...ids];
    let numbers: number[] = [];
    await this.use(async (client) => {
      const group = GROUPS[at]!.name;
      const eventTime = this.nextEventTime(at, chosen);
      numbers = chosen.map((id) => model.begin(id, how === 'delete' ? DELETED : PUT));
      if (how === 'delete') {
        await client.delete(group, chosen.map(BigInt), { eventTime });
      } else {
        const rows = chosen.map((id, index) => ({
          ...soakRow(at, id, numbers[index]!),
          event_time: eventTime,
        }));
        if (how === 'put') await client.put(group, rows);
        else await this.patch(client, group, rows);
      }
      for (const [index, id] of chosen.entries()) model.acknowledge(id, numbers[index]!);
      this.count(`rows written by ${how}`, count);
    });
  }

  private async patch(client: Millrace, group: string, rows: readonly object[]): Promise<void> {
    try {
      await client.patch(group, rows as never);
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'UNKNOWN_OPERATION') throw error;
      this.hasPatch = false;
      await client.put(group, rows as never);
    }
  }

  /** Later than that of any earlier version of these rows. */
  private nextEventTime(at: number, ids: readonly number[]): number {
    const times = this.eventTimes[at]!;
    const time = Math.max(Date.now() * 1000, ...ids.map((id) => times[id]! + 1));
    for (const id of ids) times[id] = time;
    return time;
  }

  private async lookUp(at: number): Promise<void> {
    const model = this.models[at]!;
    const ids = Array.from({ length: LOOKUP_ROWS }, () => this.choice.below(ROWS));
    await this.use(async (client) => {
      const from = ids.map((id) => model.acknowledged[id]!);
      const rows = await client.getMany(GROUPS[at]!.name, ids.map(BigInt));
      for (const [index, id] of ids.entries()) {
        this.check(at, id, rows[index] as SoakRow | null, from[index]!, model.sent[id]!, 'a lookup');
      }
      this.count('rows looked up', ids.length);
    });
  }

  private check(at: number, id: number, row: SoakRow | null, from: number, to: number, where: string): void {
    const version = row === null ? 0 : Number(row.version);
    const wrong =
      this.models[at]!.fault(id, version, from, to) ?? (row === null ? undefined : valueFault(at, id, row));
    if (wrong !== undefined) this.fault(`${where} of ${GROUPS[at]!.name}: ${wrong}`);
  }

  private async readMatrix(at: number): Promise<void> {
    const ids = Array.from({ length: LOOKUP_ROWS }, () => this.choice.below(ROWS));
    await this.use(async (client) => {
      const features = ['score', 'vector'];
      const matrix = await client.getMatrix(GROUPS[at]!.name, ids.map(BigInt), {
        features,
        dtype: 'float64',
      });
      const columns = matrix.data.length / ids.length;
      for (const [index, id] of ids.entries()) {
        const score = matrix.data[index * columns]!;
        if (Number.isNaN(score)) continue;
        const expected = soakRow(at, id, score - id * 1000).vector[0];
        if (matrix.data[index * columns + 1] !== expected) this.fault(`a matrix: row ${id} mixes versions`);
      }
      this.count('rows read as a matrix', ids.length);
    });
  }

  private async scan(): Promise<void> {
    while (!this.isOver) {
      await delay(SCAN_EVERY_MS);
      if (this.hasScans) await this.use((client) => this.scanGroup(client, this.choice.below(GROUPS.length)));
    }
  }

  private async scanGroup(client: Millrace, at: number): Promise<void> {
    const model = this.models[at]!;
    const from = model.acknowledged.slice();
    const found = new Uint8Array(ROWS);
    for await (const batch of client.scan(GROUPS[at]!.name)) {
      const column = (name: string): { get(index: number): unknown } => batch.getChild(name)!;
      for (let index = 0; index < batch.numRows; index++) {
        const id = Number(column('id').get(index));
        if (found[id] === 1) this.fault(`a scan of ${GROUPS[at]!.name}: row ${id} comes twice`);
        found[id] = 1;
        const row = {
          id: BigInt(id),
          version: column('version').get(index) as bigint,
          score: column('score').get(index) as number,
          vector: (column('vector').get(index) as { toArray(): Float32Array }).toArray(),
          text: column('text').get(index) as string,
        };
        this.check(at, id, row, from[id]!, model.sent[id]!, 'a scan');
        this.count('rows scanned', 1);
      }
    }
    for (let id = 0; id < ROWS; id++) {
      if (found[id] === 0) this.check(at, id, null, from[id]!, model.sent[id]!, 'a scan');
    }
    this.count('scans', 1);
  }

  private async restart(): Promise<void> {
    for (let round = 0; !this.isOver; round++) {
      await delay(RESTART_EVERY_MS);
      if (this.isOver) return;
      // Killed in the middle of whatever runs; closed cleanly in every third round.
      await this.closed(
        () => this.verifyAll(this.node.client, this.bounds(), 'after a restart'),
        () => this.node.restart(round % 3 !== 2),
      );
    }
  }

  /** What each row may be, now. */
  private bounds(): { from: Uint32Array; to: Uint32Array }[] {
    return this.models.map(({ acknowledged, sent }) => ({ from: acknowledged.slice(), to: sent.slice() }));
  }

  private async verifyAll(
    client: Millrace,
    bounds: readonly { readonly from: Uint32Array; readonly to: Uint32Array }[],
    where: string,
  ): Promise<void> {
    for (const at of GROUPS.keys()) {
      const group: Group = await client.group(GROUPS[at]!.name);
      const { from, to } = bounds[at]!;
      for (let first = 0; first < ROWS; first += 2000) {
        const ids = Array.from({ length: 2000 }, (_, index) => first + index);
        const rows = (await client.getMany(group, ids.map(BigInt))) as (SoakRow | null)[];
        for (const [index, id] of ids.entries()) this.check(at, id, rows[index]!, from[id]!, to[id]!, where);
      }
      this.count('rows verified in full readings', ROWS);
    }
  }

  private async backUp(): Promise<void> {
    for (let number = 0; !this.isOver; number++) {
      await delay(BACKUP_EVERY_MS);
      if (this.isOver) return;
      const position = number % CHAIN_LENGTH;
      const path = join(this.root, `backup-${number}`);
      const since = position === 0 ? [] : ['--since', join(this.root, `backup-${number - 1}`)];
      const from = this.bounds();
      // A kill may come in between: the same command goes on.
      for (let isDone = false; !isDone; ) {
        await this.gate;
        isDone = await millrace('backup', path, ...since, '--connect', this.node.address).then(
          () => true,
          (error: unknown) => {
            this.count('interrupted backups', 1);
            if (/BACKUP_INVALID|BLOCK_CORRUPT/.test(String(error)))
              this.fault(`a backup failed: ${String(error)}`);
            return false;
          },
        );
        if (!isDone) await delay(500);
      }
      this.count('backups', 1);
      if (position === CHAIN_LENGTH - 1) await this.restore(path, from, this.bounds());
    }
  }

  private async restore(
    path: string,
    from: readonly { readonly from: Uint32Array }[],
    to: readonly { readonly to: Uint32Array }[],
  ): Promise<void> {
    const target = join(this.root, 'restored');
    await millrace('restore', path, '--data', target, '--shards', '3');
    const restored = new SoakNode(target, 3);
    await restored.start();
    const bounds = from.map((each, at) => ({ from: each.from, to: to[at]!.to }));
    await this.verifyAll(restored.client, bounds, 'after a restore');
    await restored.stop();
    this.count('restores', 1);
    rmSync(target, { recursive: true });
    for (let number = 0; number < 1000; number++)
      rmSync(join(this.root, `backup-${number}`), { recursive: true, force: true });
  }

  private async sample(): Promise<void> {
    while (!this.isOver) {
      await delay(SAMPLE_EVERY_MS);
      await this.gate;
      this.takeSample();
    }
  }

  private takeSample(): void {
    const writes = Object.entries(this.counts).reduce(
      (sum, [name, count]) => sum + (name.startsWith('rows written') ? count : 0),
      0,
    );
    this.samples.push({
      seconds: Math.round((performance.now() - this.startedMs) / 1000),
      memoryBytes: this.node.memoryBytes(),
      diskBytes: this.node.diskBytes(),
      ownMemoryBytes: process.memoryUsage.rss(),
      rowsWritten: writes - this.sampledWrites,
      mismatches: this.counts['mismatches'] ?? 0,
    });
    this.sampledWrites = writes;
  }
}

/** What a killed, closing or starting node lets its clients see. */
function isInterruption(error: unknown): boolean {
  const codes = [
    'CONNECTION_LOST',
    'CONNECT_FAILED',
    'CLIENT_CLOSED',
    'SHUTTING_DOWN',
    'TIMEOUT',
    'OVERLOADED',
    'CANCELLED',
  ];
  return error instanceof MillraceError && codes.includes(error.code);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      seed: { type: 'string' },
      report: { type: 'string' },
    },
  });
  const minutes = Number(values.minutes);
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed);
  if (!(minutes > 0) || !Number.isInteger(seed))
    throw new Error('--minutes takes a number, --seed an integer');
  process.stderr.write(`soak: ${minutes} minutes, seed ${seed}\n`);
  const root = mkdtempSync(join(tmpdir(), 'millrace-soak-'));
  mkdirSync(join(root, 'data'));
  const soak = new Soak(root, minutes, seed);
  let failure: unknown;
  await soak.run().catch((error: unknown) => {
    failure = error;
  });
  const { counts, faults, samples, node } = soak;
  const outcome = { counts, faults, samples, node, minutes, seed, failure };
  const report = soakReport(outcome);
  process.stdout.write(report);
  if (values.report !== undefined) writeFileSync(values.report, report);
  const isRight = failure === undefined && (counts['mismatches'] ?? 0) === 0;
  if (isRight) rmSync(root, { recursive: true });
  else process.stderr.write(`the data is kept in ${root}\n`);
  return isRight ? 0 : 1;
}

process.exit(await main());
