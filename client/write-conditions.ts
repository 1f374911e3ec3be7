/** What the options of a put, patch or delete mean for its requests; USAGE for what makes no sense. */
import { describeValue } from '../protocol/index.ts';
import type { PatchOptions, PutOptions } from './call-options.ts';
import { MillraceError } from './errors.ts';
import type { WriteConditions } from './write-operation.ts';

export function writeConditions(options: PutOptions, count: number): WriteConditions {
  const isBackfill = options.backfill ?? false;
  const ifVersions = options.ifVersion === undefined ? null : versionsOf(options.ifVersion, count);
  if (isBackfill && ifVersions !== null) {
    throw usage('a backfill takes no ifVersion: it never changes the row that is there');
  }
  const isKeyed = (options.idempotent ?? false) || ifVersions !== null;
  return { isBackfill, isTimeFloor: false, ifVersions, isKeyed };
}

/** Patches always carry a key: an addition that is repeated without one is added twice. */
export function patchConditions(options: PatchOptions, count: number, isTimeFloor: boolean): WriteConditions {
  const ifVersions = options.ifVersion === undefined ? null : versionsOf(options.ifVersion, count);
  return { isBackfill: false, isTimeFloor, ifVersions, isKeyed: true };
}

function versionsOf(given: number | ArrayLike<number>, count: number): Float64Array {
  if (typeof given === 'number') return new Float64Array(count).fill(checkedVersion(given));
  const { length } = (given ?? {}) as { length?: unknown };
  if (length !== count) {
    throw usage(
      `ifVersion is ${describeValue(given)}; allowed: an LSN for all rows, or an array of ${count}, one a row`,
    );
  }
  return Float64Array.from(given, checkedVersion);
}

function checkedVersion(version: number): number {
  if (Number.isSafeInteger(version) && version >= 0) return version;
  throw usage(
    `ifVersion holds ${describeValue(version)}; allowed: a row's LSN, or 0 for a row that is not there`,
  );
}

function usage(message: string): MillraceError {
  return new MillraceError('USAGE', message);
}
