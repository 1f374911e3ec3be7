/**
 * What a store must answer, in the plainest way: every version ever written, in a list for each key.
 *
 * Takes the rules from docs/ARCHITECTURE.md and nothing from storage/: event time decides, then the LSN; LSNs and commit
 * times of a partition rise whatever the clock does; an expired or deleted row is missing.
 */
import type { WrittenRow } from './operations.ts';

export interface ModelVersion {
  readonly eventMicros: number;
  readonly lsn: number;
  readonly commitMicros: number;
  readonly isDelete: boolean;
  /** 0: never. */
  readonly expirySeconds: number;
  readonly value: string;
}

export interface ModelRow {
  readonly key: string;
  readonly value: string;
}

interface Clock {
  lsn: number;
  commitMicros: number;
}

export class RowModel {
  nowMicros: number;
  private readonly partitionOf: (key: string) => number;
  private readonly versions: Map<string, ModelVersion[]> = new Map();
  private readonly clocks: Map<number, Clock> = new Map();

  constructor(nowMicros: number, partitionOf: (key: string) => number) {
    this.nowMicros = nowMicros;
    this.partitionOf = partitionOf;
  }

  /** Writes one row; answers its LSN and whether it is the newest of its key. */
  write(
    group: number,
    key: string,
    row: WrittenRow,
    value: string | null,
    ttlSeconds: number,
  ): { lsn: number; isNewest: boolean } {
    const { lsn, commitMicros } = this.number(this.partitionOf(key));
    const eventMicros = this.nowMicros + row.offsetSeconds * 1e6;
    const expirySeconds = ttlSeconds === 0 ? 0 : Math.floor(eventMicros / 1e6) + ttlSeconds;
    const version = {
      eventMicros,
      lsn,
      commitMicros,
      isDelete: value === null,
      expirySeconds,
      value: value ?? '',
    };
    const all = this.versionsOf(group, key);
    all.push(version);
    return { lsn, isNewest: newestOf(all) === version };
  }

  get(group: number, key: string): string | null {
    const newest = newestOf(this.versionsOf(group, key));
    if (newest === undefined || newest.isDelete) return null;
    const hasExpired = newest.expirySeconds !== 0 && newest.expirySeconds <= Math.floor(this.nowMicros / 1e6);
    return hasExpired ? null : newest.value;
  }

  private number(partition: number): Clock {
    const last = this.clocks.get(partition) ?? { lsn: 0, commitMicros: 0 };
    const next = { lsn: last.lsn + 1, commitMicros: Math.max(this.nowMicros, last.commitMicros + 1) };
    this.clocks.set(partition, next);
    return next;
  }

  private versionsOf(group: number, key: string): ModelVersion[] {
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
