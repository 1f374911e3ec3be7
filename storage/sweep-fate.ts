/**
 * Which versions of a unit compaction keeps: the rules, and nothing else.
 *
 * It is given all versions that were gathered of one unit, or some of them, in the order of (key, event time, LSN), and says of each
 * whether it stays. Rules (`cutoff` is now − retention, `sealed` is the latest moment before which everything that was
 * accepted is among what the caller has gathered or is known to be newer):
 *
 * V3  A version may go when a later one of its key, which stays, has event time and commit time below the cutoff: a read as
 *     of any moment within retention sees that one or a later one. The newest that is not history-only stays.
 * V4  That newest one may go when it is a tombstone or has expired, when nothing is left to hide or to show: its event time
 *     lies below sealed − horizon (no write that old is accepted any more), its commit time, and its expiry, below the
 *     cutoff, and all older versions go with it.
 * V5  What carries a request's key stays for IDEMPOTENCY_KEEP_MICROS.
 * V7  Of a group without a policy nothing stays.
 * V8  Two copies of one (event time, LSN) are one version: the first stays.
 *
 * I1  Rules are safe for a part of a key's versions: what is kept because another version was not seen goes at a later time.
 *     V4 alone needs all older ones: the caller says whether it has them (`newestMayGo`).
 *
 * Where the records come from and go to is the sweep's business.
 */
import type { Arena } from './arena.ts';
import type { GroupPolicy } from './group-policy.ts';
import { WHERE_LEVEL_ONE } from './index-entry.ts';
import { IDEMPOTENCY_KEEP_MICROS } from './limits.ts';
import {
  FLAG_HISTORY_ONLY,
  FLAG_KEYED,
  KIND_DELETE,
  readRecordCommitTime,
  readRecordEventTime,
  readRecordExpirySeconds,
  readRecordFlags,
  readRecordKind,
  readRecordLsn,
} from './record.ts';

/** The record is written anew. */
export const FATE_KEEP: number = 0;
/** It goes; a later version of its key has taken its place in the index long ago. */
export const FATE_DROP: number = 1;
/** It goes, and the index entry with it, if that still names this place. */
export const FATE_DROP_WITH_ENTRY: number = 2;
/** It goes, for the one before it is the same version: an index entry that names this place follows that one. */
export const FATE_DUPLICATE: number = 3;

/** Whether a record is to go whatever the rules say: an erasure. */
export type RecordFilter = (view: DataView, offset: number) => boolean;

/** Which newest versions V4 may drop. */
export const NEWEST_STAY: number = 0;
/** Those that come from level 1: the unit's blocks there all go together (C3). */
export const NEWEST_OF_LEVEL_ONE_GO: number = 1;
/** All: the unit has no blocks in level 1. */
export const NEWEST_GO: number = 2;
/** Those of level 1 that hide nothing any more: safe even when the old blocks go one after the other. */
export const NEWEST_ALONE_GO: number = 3;

export interface FateRules {
  /** Undefined: the group was dropped. */
  readonly policy: GroupPolicy | undefined;
  readonly nowMicros: number;
  /** -Infinity when it is not known. */
  readonly sealedMicros: number;
  readonly isErased: RecordFilter | undefined;
}

/** What was gathered of a unit, in columns by record number. */
export interface UnitVersions {
  readonly arena: Arena;
  /** Where the record starts in the arena. */
  readonly starts: Uint32Array;
  /** WHERE_LEVEL_ZERO or WHERE_LEVEL_ONE. */
  readonly wheres: Uint8Array;
  /** Record numbers by (digest, key, event time, LSN). */
  readonly order: Uint32Array;
  readonly fates: Uint8Array;
  /** When a kept version may go, µs; Infinity: never, as things are. */
  readonly deaths: Float64Array;
}

/** Retention or lateness, whichever is longer: writes older than this are refused. */
export function horizonMicros(policy: GroupPolicy): number {
  return Math.max(policy.retentionMicros, policy.latenessMicros);
}

/** When a version written now would die, if it is the newest of its key and a newer one never comes. µs or Infinity. */
export function endMicros(policy: GroupPolicy, view: DataView, offset: number): number {
  const expirySeconds = readRecordExpirySeconds(view, offset);
  const isDelete = readRecordKind(view, offset) === KIND_DELETE;
  if (!isDelete && expirySeconds === 0) return Infinity;
  const commitMicros = readRecordCommitTime(view, offset);
  const expiryMicros = isDelete ? -Infinity : expirySeconds * 1e6;
  const isKeyed = (readRecordFlags(view, offset) & FLAG_KEYED) !== 0;
  return Math.max(
    readRecordEventTime(view, offset) + horizonMicros(policy),
    Math.max(commitMicros, expiryMicros) + policy.retentionMicros,
    isKeyed ? commitMicros + IDEMPOTENCY_KEEP_MICROS : -Infinity,
  );
}

/** Decides on the versions `order[from, to)`, which are those gathered of one key. Linear in them. */
export function decideKey(
  rules: FateRules,
  newestMayGo: number,
  unit: UnitVersions,
  from: number,
  to: number,
): void {
  const { order, starts, fates, deaths } = unit;
  const { view } = unit.arena;
  const { policy, isErased } = rules;
  let newest = -1;
  let previous = -1;
  for (let index = from; index < to; index += 1) {
    const record = order[index] as number;
    const offset = starts[record] as number;
    deaths[record] = Infinity;
    if (previous >= 0 && isSameVersion(view, offset, starts[previous] as number)) {
      fates[record] = FATE_DUPLICATE;
      continue;
    }
    previous = record;
    const goes = policy === undefined || isErased?.(view, offset) === true;
    fates[record] = goes ? FATE_DROP_WITH_ENTRY : FATE_KEEP;
    if (!goes && (readRecordFlags(view, offset) & FLAG_HISTORY_ONLY) === 0) newest = record;
  }
  if (policy === undefined) return;
  dropSuperseded(rules, policy, unit, from, to, newest);
  if (newest < 0) return;
  const end = endMicros(policy, view, starts[newest] as number);
  if (end === Infinity) return;
  if (end < rules.nowMicros && mayGo(rules, policy, newestMayGo, unit, from, newest)) {
    fates[newest] = FATE_DROP_WITH_ENTRY;
  } else {
    deaths[newest] = Math.min(deaths[newest] as number, end);
  }
}

/** V3 and V5: from the newest to the oldest. */
function dropSuperseded(
  rules: FateRules,
  policy: GroupPolicy,
  unit: UnitVersions,
  from: number,
  to: number,
  newest: number,
): void {
  const { order, starts, fates, deaths } = unit;
  const { view } = unit.arena;
  /** From when on a version that stays hides all older ones for good. */
  let hidesFrom = Infinity;
  for (let index = to - 1; index >= from; index -= 1) {
    const record = order[index] as number;
    if (fates[record] !== FATE_KEEP) continue;
    const offset = starts[record] as number;
    const commitMicros = readRecordCommitTime(view, offset);
    if (record !== newest) {
      const isKeyed = (readRecordFlags(view, offset) & FLAG_KEYED) !== 0;
      const goesFrom = isKeyed ? Math.max(hidesFrom, commitMicros + IDEMPOTENCY_KEEP_MICROS) : hidesFrom;
      if (goesFrom < rules.nowMicros) {
        fates[record] = FATE_DROP;
        continue;
      }
      deaths[record] = goesFrom;
    }
    const settledMicros = Math.max(readRecordEventTime(view, offset), commitMicros);
    hidesFrom = Math.min(hidesFrom, settledMicros + policy.retentionMicros);
  }
}

/** Whether the newest, which is over, leaves nothing behind that it hid or that may still come. */
function mayGo(
  rules: FateRules,
  policy: GroupPolicy,
  newestMayGo: number,
  unit: UnitVersions,
  from: number,
  newest: number,
): boolean {
  const { order, starts, wheres, fates } = unit;
  if (newestMayGo === NEWEST_STAY) return false;
  if (newestMayGo !== NEWEST_GO && wheres[newest] !== WHERE_LEVEL_ONE) return false;
  const eventMicros = readRecordEventTime(unit.arena.view, starts[newest] as number);
  if (eventMicros >= rules.sealedMicros - horizonMicros(policy)) return false;
  if (newestMayGo === NEWEST_ALONE_GO && order[from] !== newest) return false;
  for (let index = from; order[index] !== newest; index += 1) {
    if (fates[order[index] as number] === FATE_KEEP) return false;
  }
  return true;
}

function isSameVersion(view: DataView, a: number, b: number): boolean {
  return (
    readRecordLsn(view, a) === readRecordLsn(view, b) &&
    readRecordEventTime(view, a) === readRecordEventTime(view, b)
  );
}
