/**
 * Merged and conditional writes of a soak, exact across kills: a group of counters that several clients change at once.
 *
 * I1  Each client outlives the node: a patch or a conditional put that a kill cuts off is sent again with its idempotency key until
 *     it is answered. So each is applied once, and the model is exact.
 * I2  A row of its own is changed by one client alone, and must always be what the model says.
 * I3  The shared rows are changed by all: by patches that add, and by reads followed by a put with `ifVersion`, which is made
 *     again when somebody else was first. Their sum is that of what was answered, between two moments or, when nothing is
 *     under way, exactly.
 */
import { add, append, Millrace, MillraceError, max, min } from '../client/index.ts';
import type { SeededChoice } from './soak-choice.ts';

export const COUNTERS_GROUP = 'counters';
const CLIENTS = 3;
const OWN_ROWS = 200;
const SHARED_ROWS = 8;
const BATCH_ROWS_MAX = 40;
const RECENT_MAX = 6;
/** Longer than a start takes on a busy machine. */
const TIMEOUT_MS = 240_000;

interface Counter {
  readonly total: bigint;
  readonly low: number | null;
  readonly high: number | null;
  readonly recent: readonly number[];
}

/** The sum of a shared row: what was answered, and what was sent. */
export interface SharedSums {
  readonly answered: readonly bigint[];
  readonly sent: readonly bigint[];
}

export class SoakCounters {
  private readonly choice: SeededChoice;
  private readonly fault: (text: string) => void;
  private readonly count: (what: string, by: number) => void;
  private readonly rows: (Counter | null)[] = new Array(CLIENTS * OWN_ROWS).fill(null);
  private readonly answered: bigint[] = new Array(SHARED_ROWS).fill(0n);
  private readonly sent: bigint[] = new Array(SHARED_ROWS).fill(0n);

  constructor(
    choice: SeededChoice,
    fault: (text: string) => void,
    count: (what: string, by: number) => void,
  ) {
    this.choice = choice;
    this.fault = fault;
    this.count = count;
  }

  /** Makes the group and the clients, each of which is one line of work: a function that does the next thing. */
  async begin(
    host: string,
    port: number,
  ): Promise<{ steps: (() => Promise<void>)[]; close(): Promise<void> }> {
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, () => Millrace.connect({ host, port }, { timeoutMs: TIMEOUT_MS })),
    );
    await clients[0]!.createGroup({
      name: COUNTERS_GROUP,
      key: { id: 'int64' },
      features: { total: 'int64', low: 'int32', high: 'int32', recent: { type: 'list', item: 'int32' } },
      retentionSeconds: 5,
    });
    return {
      steps: clients.map((client, number) => () => this.step(client, number)),
      close: async () => {
        for (const client of clients) await client.close();
      },
    };
  }

  sums(): SharedSums {
    return { answered: [...this.answered], sent: [...this.sent] };
  }

  /** Reads every row while nothing is under way. */
  async verify(client: Millrace, where: string): Promise<void> {
    for (let number = 0; number < CLIENTS; number++) {
      const ids = Array.from({ length: OWN_ROWS }, (_, row) => number * OWN_ROWS + row);
      await this.compare(client, ids, where);
    }
    await this.verifyShared(client, this.sums(), this.sums(), where);
    this.count('counters verified in full readings', CLIENTS * OWN_ROWS + SHARED_ROWS);
  }

  /** Each shared row is at least what was answered at the first moment, and at most what was sent at the last. */
  async verifyShared(client: Millrace, first: SharedSums, last: SharedSums, where: string): Promise<void> {
    const rows = await client.getMany(
      COUNTERS_GROUP,
      Array.from({ length: SHARED_ROWS }, (_, at) => idOfShared(at)),
    );
    for (const [at, row] of rows.entries()) {
      const total = (row?.['total'] ?? 0n) as bigint;
      if (total < first.answered[at]! || total > last.sent[at]!)
        this.fault(
          `${where}: shared counter ${at} is ${total}; ${first.answered[at]} answered, ${last.sent[at]} sent`,
        );
    }
  }

  private step(client: Millrace, number: number): Promise<void> {
    const draw = this.choice.below(100);
    if (draw < 45) return this.patch(client, this.ownIds(number));
    if (draw < 55) return this.putWhen(client, this.ownIds(number));
    if (draw < 60) return this.remove(client, this.ownIds(number));
    if (draw < 75) return this.compare(client, this.ownIds(number), 'a lookup');
    return draw < 88 ? this.addShared(client) : this.replaceShared(client);
  }

  private ownIds(number: number): number[] {
    const ids = new Set<number>();
    const count = 1 + this.choice.below(BATCH_ROWS_MAX);
    while (ids.size < count) ids.add(number * OWN_ROWS + this.choice.below(OWN_ROWS));
    return [...ids];
  }

  private async patch(client: Millrace, ids: readonly number[]): Promise<void> {
    const changes = ids.map((id) => ({
      id,
      add: this.choice.below(1000) - 300,
      low: this.choice.below(3) === 0 ? this.choice.below(1_000_000) : null,
      high: this.choice.below(3) === 0 ? this.choice.below(1_000_000) : null,
      items: Array.from({ length: this.choice.below(4) }, () => this.choice.below(1_000_000)),
    }));
    const rows = changes.map((change) => ({
      id: BigInt(change.id),
      total: add(BigInt(change.add)),
      ...(change.low === null ? {} : { low: min(change.low) }),
      ...(change.high === null ? {} : { high: max(change.high) }),
      ...(change.items.length === 0 ? {} : { recent: append(change.items, { max: RECENT_MAX }) }),
    }));
    const result = await client.patch(COUNTERS_GROUP, rows as never);
    if (result.applied !== ids.length)
      this.fault(`a patch of ${ids.length} counters applied ${result.applied}`);
    for (const change of changes) {
      const base = this.rows[change.id] ?? { total: 0n, low: null, high: null, recent: [] };
      this.rows[change.id] = {
        total: base.total + BigInt(change.add),
        low: change.low === null ? base.low : Math.min(base.low ?? change.low, change.low),
        high: change.high === null ? base.high : Math.max(base.high ?? change.high, change.high),
        recent: [...base.recent, ...change.items].slice(-RECENT_MAX),
      };
    }
    this.count('counters patched', ids.length);
  }

  /** Replaces rows on the condition that they are as they were read; every fourth condition is a wrong one. */
  private async putWhen(client: Millrace, ids: readonly number[]): Promise<void> {
    const keys = ids.map(BigInt);
    const seen = await client.getVersioned(COUNTERS_GROUP, keys);
    const isWrong = ids.map(() => this.choice.below(4) === 0);
    const rows: Counter[] = ids.map(() => ({
      total: BigInt(this.choice.below(1_000_000)),
      low: this.choice.below(1000),
      high: null,
      recent: [],
    }));
    const ifVersion = seen.map(({ version }, at) => (isWrong[at] ? version + 1 : version));
    // A refusal of a call's only row is thrown: two rows at least.
    if (ids.length === 1) return;
    const given = rows.map((row, at) => ({ id: keys[at], ...row }));
    const result = await client.put(COUNTERS_GROUP, given as never, { ifVersion });
    for (const [at, id] of ids.entries()) {
      const status = result.status(at);
      if (status !== (isWrong[at] ? 'refused' : 'applied'))
        this.fault(`counter ${id}: a ${isWrong[at] ? 'wrong' : 'right'} condition led to ${status}`);
      if (status === 'applied') this.rows[id] = rows[at]!;
    }
    this.count('counters put on a condition', ids.length);
  }

  private async remove(client: Millrace, ids: readonly number[]): Promise<void> {
    const few = ids.slice(0, 4);
    // Each is at least of the time that its row has: `delete` takes one event time for all.
    const rows = await client.getMany(COUNTERS_GROUP, few.map(BigInt));
    const times = rows.map((row) => Number(row?.['event_time'] ?? 0));
    const eventTime = Math.max(Date.now() * 1000, ...times);
    await client.delete(COUNTERS_GROUP, few.map(BigInt), { eventTime, idempotent: true });
    for (const id of few) this.rows[id] = null;
    this.count('counters deleted', few.length);
  }

  private async compare(client: Millrace, ids: readonly number[], where: string): Promise<void> {
    const rows = await client.getMany(COUNTERS_GROUP, ids.map(BigInt));
    for (const [at, row] of rows.entries()) {
      const expected = this.rows[ids[at]!]!;
      const found = row === null ? null : counterOf(row);
      if (textOf(found) !== textOf(expected))
        this.fault(`${where}: counter ${ids[at]} is ${textOf(found)}, not ${textOf(expected)}`);
    }
    this.count('counters looked up', ids.length);
  }

  private async addShared(client: Millrace): Promise<void> {
    const steps = Array.from({ length: SHARED_ROWS }, (_, at) => ({
      at,
      by: BigInt(1 + this.choice.below(5)),
    }));
    for (const { at, by } of steps) this.sent[at]! += by;
    const rows = steps.map(({ at, by }) => ({ id: idOfShared(at), total: add(by) }));
    const result = await client.patch(COUNTERS_GROUP, rows as never);
    if (result.applied !== steps.length) this.fault(`a patch of shared counters applied ${result.applied}`);
    for (const { at, by } of steps) this.answered[at]! += by;
    this.count('shared counters patched', steps.length);
  }

  /** Reads, adds and puts back, until nobody else wrote in between. */
  private async replaceShared(client: Millrace): Promise<void> {
    const at = this.choice.below(SHARED_ROWS);
    const by = BigInt(1 + this.choice.below(5));
    this.sent[at]! += by;
    for (;;) {
      const [seen] = await client.getVersioned(COUNTERS_GROUP, [idOfShared(at)]);
      const { row, version } = seen!;
      const eventTime = Math.max(Date.now() * 1000, Number(row?.['event_time'] ?? 0));
      const total = ((row?.['total'] ?? 0n) as bigint) + by;
      const put = { id: idOfShared(at), total, event_time: eventTime };
      try {
        await client.put(COUNTERS_GROUP, [put] as never, { ifVersion: version });
        break;
      } catch (error) {
        if (!(error instanceof MillraceError) || error.code !== 'VERSION_MISMATCH') throw error;
        this.count('shared counters met by another', 1);
      }
    }
    this.answered[at]! += by;
    this.count('shared counters replaced', 1);
  }
}

function idOfShared(at: number): bigint {
  return BigInt(CLIENTS * OWN_ROWS + at);
}

function counterOf(row: Record<string, unknown>): Counter {
  return {
    total: row['total'] as bigint,
    low: (row['low'] ?? null) as number | null,
    high: (row['high'] ?? null) as number | null,
    recent: (row['recent'] ?? []) as number[],
  };
}

function textOf(counter: Counter | null): string {
  if (counter === null) return 'missing';
  return `${counter.total}/${counter.low}/${counter.high}/[${counter.recent.join()}]`;
}
