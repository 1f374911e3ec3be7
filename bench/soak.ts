/**
 * A soak: one real node under mixed load for as long as told, with sweeps, kills, restarts, erasures and backups all the while, and
 * every answer checked.
 *
 *   npm run soak -- --minutes 30 [--seed S] [--report FILE]
 *
 *   writers    put, overwrite, patch, delete and add late events to rows of their own; look up rows of all, also as matrices
 *   counters   merge, and put on conditions, exactly once across kills (soak-counters.ts)
 *   scanner    whole groups, the latest rows and those of past moments (soak-past.ts)
 *   eraser     `millrace erase` of single rows, some of them cut off by a kill; then no file may hold the row
 *   killer     kills or restarts the node every 45 s, after which every row of every group is read
 *   backups    chains of three, each one's last restored for another shard count and compared, past and present
 *
 * What a row may be is told by soak-model.ts. Exits 0 when nothing was wrong, else 1. The seed fixes what is asked for, not when:
 * processes and the clock go their own way.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Group, type Millrace, MillraceError, type WriteResult } from '../client/index.ts';
import { SeededChoice } from './soak-choice.ts';
import { type SharedSums, SoakCounters } from './soak-counters.ts';
import { DELETED, ERASED, LATE, PUT, SoakModel, type SoakMoment } from './soak-model.ts';
import { millrace, SoakNode } from './soak-node.ts';
import { type SoakGroup, SoakPast } from './soak-past.ts';
import { type SoakSample, soakReport } from './soak-report.ts';
import { SOAK_FEATURES, type SoakRow, soakMark, soakRow, valueFault } from './soak-rows.ts';
import { scanVersions } from './soak-scan.ts';

const ROWS = 20_000;
const GROUPS: readonly SoakGroup[] = [
  { number: 0, name: 'forever', retentionSeconds: 0, model: new SoakModel(ROWS) },
  { number: 1, name: 'minute', retentionSeconds: 60, model: new SoakModel(ROWS) },
  { number: 2, name: 'hour', retentionSeconds: 3600, model: new SoakModel(ROWS) },
];
const WRITERS = 4;
const BATCH_ROWS_MAX = 200;
const LOOKUP_ROWS = 200;
const PAUSE_MS = 20;
const RESTART_EVERY_MS = 45_000;
const BACKUP_EVERY_MS = 60_000;
const ERASE_EVERY_MS = 20_000;
/** An erasure that a kill is to meet begins so long before it, at most. */
const ERASE_BEFORE_KILL_MS = 2_000;
const SCAN_EVERY_MS = 6_000;
const SAMPLE_EVERY_MS = 10_000;
const CHAIN_LENGTH = 3;
const FAULTS_SHOWN_MAX = 20;
/** How far back a late event lies, at most. */
const LATE_MICROS_MAX = 20_000_000;

/** Whether a put of each kind was taken as what it is. */
const EXPECTED: Readonly<Record<string, keyof WriteResult>> = {
  put: 'applied',
  patch: 'applied',
  delete: 'applied',
  late: 'superseded',
  backfill: 'history',
};
type Writing = 'put' | 'patch' | 'delete' | 'late' | 'backfill';

/** What is known of all groups at a moment. */
interface Known {
  readonly micros: number;
  readonly groups: readonly SoakMoment[];
  readonly sums: SharedSums;
}

class Soak {
  readonly counts: Record<string, number> = {};
  readonly faults: string[] = [];
  readonly samples: SoakSample[] = [];
  readonly node: SoakNode;
  private readonly counters: SoakCounters;
  private readonly past: SoakPast;
  private readonly root: string;
  private readonly choice: SeededChoice;
  private readonly startedMs: number = performance.now();
  private readonly endMs: number;
  /** Held while the node is down or every row is read: who uses the node waits for it. */
  private gate: Promise<void> = Promise.resolve();
  private busy = 0;
  private erasing: Promise<void> | undefined;
  private sampledWrites = 0;

  constructor(root: string, minutes: number, seed: number) {
    this.root = root;
    this.endMs = performance.now() + minutes * 60_000;
    this.choice = new SeededChoice(seed);
    this.node = new SoakNode(join(root, 'data'), 2);
    const fault = (text: string): void => this.fault(text);
    const count = (what: string, by: number): void => this.count(what, by);
    this.counters = new SoakCounters(this.choice, fault, count);
    this.past = new SoakPast(ROWS, this.choice, fault, count);
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
    const counters = await this.counters.begin('127.0.0.1', this.node.port);
    const writers = Array.from({ length: WRITERS }, (_, writer) => this.write(writer));
    const counting = counters.steps.map((step) => this.countUp(step));
    const others = [this.scan(), this.erase(), this.restart(), this.backUp(), this.sample()];
    await Promise.all([...writers, ...counting, ...others]);
    await this.erasing;
    await this.closed(() => this.verifyAll(this.node.client, this.known(), this.known(), 'at the end'));
    await this.takeSample();
    await counters.close();
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
      if (!isInterruption(error)) this.fault(`an operation failed: ${textOf(error)}`);
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
      const group = this.drawGroup();
      const draw = this.choice.below(100);
      if (draw < 42) await this.writeRows(group, writer, 'put');
      else if (draw < 50) await this.writeRows(group, writer, 'delete');
      else if (draw < 57) await this.writeRows(group, writer, 'patch');
      else if (draw < 61) await this.writeRows(group, writer, 'late');
      else if (draw < 65) await this.writeRows(group, writer, 'backfill');
      else if (draw < 90) await this.lookUp(group);
      else await this.readMatrix(group);
      await delay(PAUSE_MS);
    }
  }

  private drawGroup(): SoakGroup {
    return GROUPS[this.choice.below(GROUPS.length)]!;
  }

  private async writeRows(group: SoakGroup, writer: number, how: Writing): Promise<void> {
    const { model } = group;
    const isLate = how === 'late' || how === 'backfill';
    const count = 1 + this.choice.below(how === 'delete' ? 20 : BATCH_ROWS_MAX);
    const drawn = new Set<number>();
    while (drawn.size < count) drawn.add(this.choice.below(ROWS / WRITERS) * WRITERS + writer);
    await this.use(async (client) => {
      const ids = [...drawn].filter(
        (id) => !model.isErasing(id) && (!isLate || model.newestEventTime(id) > 0),
      );
      // A refusal of a call's only row is thrown: two rows at least, whose results are told.
      if (ids.length < 2) return;
      const times = this.eventTimes(model, ids, isLate);
      const kind = how === 'delete' ? DELETED : isLate ? LATE : PUT;
      const numbers = ids.map((id, at) => model.begin(id, kind, times[at]!));
      const rows = ids.map((id, at) => ({
        ...soakRow(group.number, id, numbers[at]!),
        event_time: times[at]!,
      }));
      let result: WriteResult;
      try {
        result = await this.send(client, group.name, how, rows);
      } catch (error) {
        for (const [at, id] of ids.entries()) model.lose(id, numbers[at]!);
        throw error;
      }
      const done = result[EXPECTED[how]!];
      if (done !== ids.length)
        this.fault(
          `a ${how} of ${ids.length} rows: ${done} were ${EXPECTED[how]}, ${result.refused} refused ${result.refusals[0]?.code ?? ''}`,
        );
      for (const [at, id] of ids.entries()) model.acknowledge(id, numbers[at]!);
      this.count(`rows written by ${how}`, ids.length);
    });
  }

  /** Puts and deletions: one time for all, later than every version there is; late ones: before the newest. */
  private eventTimes(model: SoakModel, ids: readonly number[], isLate: boolean): number[] {
    if (isLate) return ids.map((id) => model.newestEventTime(id) - 1 - this.choice.below(LATE_MICROS_MAX));
    const nowMicros = Date.now() * 1000;
    const time = Math.max(...ids.map((id) => model.nextEventTime(id, nowMicros)));
    return ids.map(() => time);
  }

  private send(
    client: Millrace,
    group: string,
    how: Writing,
    rows: readonly (SoakRow & { event_time: number })[],
  ): Promise<WriteResult> {
    if (how === 'delete') {
      const eventTime = rows[0]!.event_time;
      return client.delete(
        group,
        rows.map(({ id }) => id),
        { eventTime },
      );
    }
    if (how === 'patch') return client.patch(group, rows as never);
    return client.put(group, rows as never, { backfill: how === 'backfill' });
  }

  private async lookUp(group: SoakGroup): Promise<void> {
    const ids = Array.from({ length: LOOKUP_ROWS }, () => this.choice.below(ROWS));
    await this.use(async (client) => {
      const from = ids.map((id) => group.model.newest[id]!);
      const rows = (await client.getMany(group.name, ids.map(BigInt))) as (SoakRow | null)[];
      for (const [at, id] of ids.entries()) {
        this.check(group, id, rows[at]!, from[at]!, group.model.sent[id]!, 'a lookup');
      }
      this.count('rows looked up', ids.length);
    });
  }

  private check(
    { number, name, model }: SoakGroup,
    id: number,
    row: SoakRow | null,
    from: number,
    to: number,
    where: string,
  ): void {
    const wrong =
      model.fault(id, row === null ? 0 : Number(row.version), from, to) ??
      (row === null ? undefined : valueFault(number, id, row));
    if (wrong !== undefined) this.fault(`${where} of ${name}: ${wrong}`);
  }

  private async readMatrix({ number, name, model }: SoakGroup): Promise<void> {
    const ids = Array.from({ length: LOOKUP_ROWS }, () => this.choice.below(ROWS));
    await this.use(async (client) => {
      const from = ids.map((id) => model.newest[id]!);
      const matrix = await client.getMatrix(name, ids.map(BigInt), {
        features: ['score', 'vector'],
        dtype: 'float64',
      });
      const columns = matrix.data.length / ids.length;
      for (const [at, id] of ids.entries()) {
        const score = matrix.data[at * columns]!;
        const version = Number.isNaN(score) ? 0 : score - id * 1000;
        const wrong = model.fault(id, version, from[at]!, model.sent[id]!);
        if (wrong !== undefined) this.fault(`a matrix of ${name}: ${wrong}`);
        const { vector } = soakRow(number, id, version);
        const isWhole = vector.every((value, item) => matrix.data[at * columns + 1 + item] === value);
        if (version !== 0 && !isWhole) this.fault(`a matrix of ${name}: row ${id} mixes versions`);
      }
      this.count('rows read as a matrix', ids.length);
    });
  }

  private async countUp(step: () => Promise<void>): Promise<void> {
    while (!this.isOver) {
      // Its clients outlive a kill: whatever it fails with is wrong.
      await this.use(() => step().catch((error: unknown) => this.fault(`a counter: ${textOf(error)}`)));
      await delay(PAUSE_MS);
    }
  }

  private async scan(): Promise<void> {
    for (let round = 0; !this.isOver; round++) {
      await delay(SCAN_EVERY_MS);
      const group = this.drawGroup();
      const kept = this.past.draw();
      if (round % 3 === 0) await this.use((client) => this.scanLatest(client, group));
      else if (round % 3 === 1 || kept === undefined)
        await this.use((client) => this.past.read(client, group));
      else await this.use((client) => this.past.repeat(client, kept, kept.group.model.moment(), 'later'));
    }
  }

  private async scanLatest(client: Millrace, group: SoakGroup): Promise<void> {
    const { model, name } = group;
    const from = model.newest.slice();
    const say = (text: string): void => this.fault(`a scan of ${name}: ${text}`);
    const found = await scanVersions(client, group, ROWS, {}, say);
    for (let id = 0; id < ROWS; id++) {
      const wrong = model.fault(id, found[id]!, from[id]!, model.sent[id]!);
      if (wrong !== undefined) say(wrong);
    }
    this.count('scans of the latest rows', 1);
  }

  private async erase(): Promise<void> {
    while (!this.isOver) {
      await delay(ERASE_EVERY_MS);
      if (!this.isOver) await this.eraseOne();
    }
  }

  /** One erasure at a time; answers when it is done. */
  private eraseOne(): Promise<void> {
    this.erasing ??= this.eraseRow(this.drawGroup()).finally(() => {
      this.erasing = undefined;
    });
    return this.erasing;
  }

  /** Erases a row that nobody writes now; asks until the node says that it is done. Then no file may hold its text. */
  private async eraseRow({ number, name, model }: SoakGroup): Promise<void> {
    let row = this.choice.below(ROWS);
    while (!model.isQuiet(row) || model.newestEventTime(row) === 0) row = this.choice.below(ROWS);
    const erasure = model.begin(row, ERASED, 0);
    for (let isDone = false; !isDone; ) {
      await this.gate;
      isDone = await millrace(
        'erase',
        '--group',
        name,
        '--key',
        String(row),
        '--connect',
        this.node.address,
      ).then(
        () => true,
        (error: unknown) => {
          const text = textOf(error);
          this.count(/OVERLOADED/.test(text) ? 'erasures asked for again' : 'interrupted erasures', 1);
          if (!/OVERLOADED|CONNECT|SHUTTING_DOWN|TIMEOUT/.test(text))
            this.fault(`an erasure failed: ${text}`);
          return false;
        },
      );
      if (!isDone) await delay(1000);
    }
    for (const path of await this.node.filesWith(soakMark(number, row)))
      this.fault(`row ${row} of ${name} was erased, and ${path} holds it`);
    model.acknowledge(row, erasure);
    this.count('rows erased', 1);
  }

  private async restart(): Promise<void> {
    for (let round = 0; !this.isOver; round++) {
      await delay(RESTART_EVERY_MS);
      if (this.isOver) return;
      if (round % 2 === 0) {
        this.eraseOne().catch((error: unknown) => this.fault(`an erasure failed: ${textOf(error)}`));
        await delay(this.choice.below(ERASE_BEFORE_KILL_MS));
      }
      // Killed in the middle of whatever runs; closed cleanly in every third round.
      await this.closed(
        () => this.verifyAll(this.node.client, this.known(), this.known(), 'after a restart'),
        () => this.node.restart(round % 3 !== 2),
      );
    }
  }

  private known(): Known {
    return {
      micros: Date.now() * 1000,
      groups: GROUPS.map(({ model }) => model.moment()),
      sums: this.counters.sums(),
    };
  }

  /** Every row of every group, between two moments. */
  private async verifyAll(client: Millrace, first: Known, last: Known, where: string): Promise<void> {
    for (const group of GROUPS) {
      const handle: Group = await client.group(group.name);
      const { newest } = first.groups[group.number]!;
      const { sent } = last.groups[group.number]!;
      for (let start = 0; start < ROWS; start += 2000) {
        const ids = Array.from({ length: 2000 }, (_, index) => start + index);
        const rows = (await client.getMany(handle, ids.map(BigInt))) as (SoakRow | null)[];
        for (const [at, id] of ids.entries()) this.check(group, id, rows[at]!, newest[id]!, sent[id]!, where);
      }
      this.count('rows verified in full readings', ROWS);
    }
    // In the node itself nothing is under way; a backup was taken while all went on.
    if (first.micros === last.micros || where !== 'after a restore')
      await this.counters.verify(client, where);
    else await this.counters.verifyShared(client, first.sums, last.sums, where);
  }

  private async backUp(): Promise<void> {
    for (let number = 0; !this.isOver; number++) {
      await delay(BACKUP_EVERY_MS);
      if (this.isOver) return;
      const position = number % CHAIN_LENGTH;
      const path = join(this.root, `backup-${number}`);
      const since = position === 0 ? [] : ['--since', join(this.root, `backup-${number - 1}`)];
      const first = this.known();
      // A kill may come in between: the same command goes on.
      for (let isDone = false; !isDone; ) {
        await this.gate;
        isDone = await millrace('backup', path, ...since, '--connect', this.node.address).then(
          () => true,
          (error: unknown) => {
            this.count('interrupted backups', 1);
            if (/BACKUP_INVALID|BLOCK_CORRUPT/.test(textOf(error)))
              this.fault(`a backup failed: ${textOf(error)}`);
            return false;
          },
        );
        if (!isDone) await delay(500);
      }
      this.count('backups', 1);
      if (position === CHAIN_LENGTH - 1) await this.restore(path, first, this.known());
    }
  }

  private async restore(path: string, first: Known, last: Known): Promise<void> {
    const target = join(this.root, 'restored');
    await millrace('restore', path, '--data', target, '--shards', '3');
    const restored = new SoakNode(target, 3);
    await restored.start();
    await this.verifyAll(restored.client, first, last, 'after a restore');
    const kept = this.past.draw(first.micros);
    if (kept !== undefined) {
      // The read points of the node count in what was restored, too, once that has closed one.
      await restored.client.readPoint();
      await this.past.repeat(restored.client, kept, first.groups[kept.group.number]!, 'after a restore');
    }
    await restored.stop();
    this.count('restores', 1);
    rmSync(target, { recursive: true });
    for (let number = 0; number < 1000; number++)
      rmSync(join(this.root, `backup-${number}`), { recursive: true, force: true });
  }

  private async sample(): Promise<void> {
    while (!this.isOver) {
      await delay(SAMPLE_EVERY_MS);
      await this.use(() => this.takeSample());
    }
  }

  private async takeSample(): Promise<void> {
    const compaction = await this.node.compaction();
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
      ...compaction,
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

function textOf(error: unknown): string {
  return error instanceof MillraceError ? `${error.code}: ${error.message}` : String(error);
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
