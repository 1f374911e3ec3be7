/**
 * What a store must answer, in the plainest way: every version ever written, in a list for each key.
 *
 * Takes the rules from docs/ARCHITECTURE.md and nothing from storage/: event time decides, then the LSN; LSNs and commit
 * times of a partition rise whatever the clock does; an expired or deleted row is missing; backfilled versions are history only;
 * nothing that an answer within retention needs is ever forgotten, and here nothing is forgotten at all.
 */
import { GROUPS, LATENESS_SECONDS, RETENTION_SECONDS } from './operations.ts';

/** What a row is answered: as in WriteRequest.results, or an error code. */
export type ModelResult =
  | 'applied'
  | 'superseded'
  | 'history'
  | 'TOO_LATE'
  | 'EVENT_TIME_IN_FUTURE'
  | 'VERSION_MISMATCH'
  | 'LATE_PATCH';

export interface ModelAnswer {
  readonly result: ModelResult;
  /** 0 where nothing was written. */
  readonly lsn: number;
}

export interface ModelWrite {
  readonly group: number;
  readonly key: string;
  readonly eventMicros: number;
  readonly kind: 'put' | 'delete' | 'patch';
  /** Of a patch: what it appends. */
  readonly value: string;
  readonly ttlSeconds: number;
  readonly isBackfill: boolean;
  /** The LSN that the live row must have, 0 for none; null: no condition. */
  readonly ifVersion: number | null;
}

interface ModelVersion {
  readonly eventMicros: number;
  readonly lsn: number;
  readonly commitMicros: number;
  readonly isDelete: boolean;
  /** 0: never. */
  readonly expirySeconds: number;
  readonly value: string;
  readonly isHistory: boolean;
}

export interface ModelRow {
  readonly key: string;
  readonly value: string;
}

interface Clock {
  lsn: number;
  commitMicros: number;
}

const FUTURE_MICROS_MAX = 300e6;

export class RowModel {
  nowMicros: number;
  private readonly partitionOf: (key: string) => number;
  private readonly versions: Map<string, ModelVersion[]> = new Map();
  private readonly clocks: Map<number, Clock> = new Map();

  constructor(nowMicros: number, partitionOf: (key: string) => number) {
    this.nowMicros = nowMicros;
    this.partitionOf = partitionOf;
  }

  write(write: ModelWrite): ModelAnswer {
    const { group, key, eventMicros, kind, isBackfill } = write;
    const refusal = this.refusalOf(write);
    if (refusal !== null) return { result: refusal, lsn: 0 };
    const all = this.versionsOf(group, key);
    const seen = newestOf(all.filter((version) => !version.isHistory));
    const base = kind === 'patch' && this.isLive(seen) ? seen!.value : '';
    const expirySeconds = write.ttlSeconds === 0 ? 0 : Math.floor(eventMicros / 1e6) + write.ttlSeconds;
    const version = {
      ...this.number(this.partitionOf(key)),
      eventMicros,
      isDelete: kind === 'delete',
      expirySeconds,
      value: base + write.value,
      isHistory: isBackfill,
    };
    all.push(version);
    if (isBackfill) return { result: 'history', lsn: version.lsn };
    const isNewest = newestOf(all.filter((one) => !one.isHistory)) === version;
    return { result: isNewest ? 'applied' : 'superseded', lsn: version.lsn };
  }

  get(group: number, key: string): string | null {
    const newest = this.newest(group, key);
    return this.isLive(newest) ? newest!.value : null;
  }

  /** The LSN of the live row, 0 for none: what a condition compares with. */
  versionOf(group: number, key: string): number {
    const newest = this.newest(group, key);
    return this.isLive(newest) ? newest!.lsn : 0;
  }

  /** The row as of a moment; undefined when the retention does not reach back so far. */
  asOf(
    group: number,
    key: string,
    asOfMicros: number,
    readPointMicros: number,
    sinceMicros: number | null,
  ): string | null | undefined {
    const retention = (RETENTION_SECONDS[group] as number) * 1e6;
    if (Math.min(asOfMicros, readPointMicros) < this.nowMicros - retention) return undefined;
    const within = this.versionsOf(group, key).filter(
      (version) => version.eventMicros <= asOfMicros && version.commitMicros <= readPointMicros,
    );
    const chosen = newestOf(within);
    if (chosen === undefined || chosen.isDelete) return null;
    if (chosen.expirySeconds !== 0 && chosen.expirySeconds <= Math.floor(asOfMicros / 1e6)) return null;
    return sinceMicros !== null && chosen.commitMicros <= sinceMicros ? null : chosen.value;
  }

  private refusalOf({
    group,
    key,
    eventMicros,
    kind,
    isBackfill,
    ifVersion,
  }: ModelWrite): ModelResult | null {
    const horizon = Math.max(RETENTION_SECONDS[group] as number, LATENESS_SECONDS[group] as number) * 1e6;
    if (eventMicros > this.nowMicros + FUTURE_MICROS_MAX) return 'EVENT_TIME_IN_FUTURE';
    if (isBackfill) return null;
    if (eventMicros < this.nowMicros - horizon) return 'TOO_LATE';
    if (ifVersion !== null && ifVersion !== this.versionOf(group, key)) return 'VERSION_MISMATCH';
    const newest = this.newest(group, key);
    return kind === 'patch' && newest !== undefined && eventMicros < newest.eventMicros ? 'LATE_PATCH' : null;
  }

  private newest(group: number, key: string): ModelVersion | undefined {
    return newestOf(this.versionsOf(group, key).filter((version) => !version.isHistory));
  }

  private isLive(version: ModelVersion | undefined): boolean {
    if (version === undefined || version.isDelete) return false;
    return version.expirySeconds === 0 || version.expirySeconds > Math.floor(this.nowMicros / 1e6);
  }

  private number(partition: number): Clock {
    const last = this.clocks.get(partition) ?? { lsn: 0, commitMicros: 0 };
    const next = { lsn: last.lsn + 1, commitMicros: Math.max(this.nowMicros, last.commitMicros + 1) };
    this.clocks.set(partition, next);
    return next;
  }

  private versionsOf(group: number, key: string): ModelVersion[] {
    if (!GROUPS.includes(group)) throw new Error(`no group ${group}`);
    const name = `${group} ${key}`;
    const found = this.versions.get(name) ?? [];
    this.versions.set(name, found);
    return found;
  }
}

function newestOf(versions: readonly ModelVersion[]): ModelVersion | undefined {
  return versions.reduce<ModelVersion | undefined>(
    (newest, version) =>
      newest === undefined ||
      version.eventMicros > newest.eventMicros ||
      (version.eventMicros === newest.eventMicros && version.lsn > newest.lsn)
        ? version
        : newest,
    undefined,
  );
}
