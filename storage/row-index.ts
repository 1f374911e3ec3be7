/**
 * Puts versions into the index: the newest by (event time, LSN) of each key is the one that lookups see.
 *
 * Group commits, journal replay and the rebuild from blocks all come through `applyRecord`, so the rule stands once.
 *
 * I1  The outcome does not depend on the order in which versions are applied.
 * I2  Keys are told apart by 96 hash bits, the 64 of the digest and 32 of a second hash, without reading the row.
 *     Among 10^9 keys of a shard two share all 96 with a probability of 6 × 10^-12.
 * I3  A history-only version never enters the index: no lookup sees it, and it makes no key known.
 */
import { xxh64 } from '../protocol/index.ts';
import type { Arena } from './arena.ts';
import { expiryHoursOf, WHERE_LEVEL_ONE } from './index-entry.ts';
import type { IndexTable } from './index-table.ts';
import {
  FLAG_HISTORY_ONLY,
  KIND_DELETE,
  readRecordCommitTime,
  readRecordDigestHi,
  readRecordDigestLo,
  readRecordEventTime,
  readRecordExpirySeconds,
  readRecordFlags,
  readRecordGroup,
  readRecordKeyBytes,
  readRecordKind,
  readRecordLsn,
  recordKeyOffset,
} from './record.ts';
import type { UnitTable } from './unit-table.ts';
import { RESULT_APPLIED, RESULT_HISTORY, RESULT_SUPERSEDED } from './write-request.ts';

/** Set apart from the cluster's digest seed, so that keys which share a digest do not share this one. */
const SECOND_SEED_LO = 0x9e3779b9;
const SECOND_SEED_HI = 0x7f4a7c15;

const secondHash = new Uint32Array(2);

/** The 32 bits that tell apart keys which share their digest. */
export function secondHashOf(bytes: Uint8Array, keyAt: number, keyBytes: number): number {
  xxh64(bytes, keyAt, keyBytes, SECOND_SEED_LO, SECOND_SEED_HI, secondHash, 0);
  return secondHash[0] as number;
}

/**
 * Points the key's entry at this version if it is the newest: answers RESULT_APPLIED or RESULT_SUPERSEDED; or
 * RESULT_HISTORY for a version that is history only.. Tells
 * `units` of a version in level 1 that is not the newest any more.
 */
export function applyRecord(
  index: IndexTable,
  localPartition: number,
  arena: Arena,
  recordOffset: number,
  where: number,
  block: number,
  offsetInBlock: number,
  units?: UnitTable,
): number {
  const { view } = arena;
  if ((readRecordFlags(view, recordOffset) & FLAG_HISTORY_ONLY) !== 0) return RESULT_HISTORY;
  const digestLo = readRecordDigestLo(view, recordOffset);
  const digestHi = readRecordDigestHi(view, recordOffset);
  const group = readRecordGroup(view, recordOffset);
  const keyBytes = readRecordKeyBytes(view, recordOffset);
  const hash2 = secondHashOf(arena.bytes, recordKeyOffset(recordOffset), keyBytes);
  const eventTimeMicros = readRecordEventTime(view, recordOffset);
  const lsn = readRecordLsn(view, recordOffset);

  let handle = index.findForWrite(localPartition, digestHi, digestLo, group, hash2);
  if (handle < 0) {
    handle = index.insert(localPartition, digestHi, digestLo, group, hash2);
  } else {
    const seenMicros = index.eventTimeMicros(handle);
    const seenLsn = index.lsn(handle);
    if (seenMicros > eventTimeMicros || (seenMicros === eventTimeMicros && seenLsn > lsn)) {
      if (where === WHERE_LEVEL_ONE) units?.supersede(group, localPartition, seenMicros);
      return RESULT_SUPERSEDED;
    }
    if (units !== undefined && index.where(handle) === WHERE_LEVEL_ONE) {
      const isCopy = seenMicros === eventTimeMicros && seenLsn === lsn;
      const settledMicros = Math.max(eventTimeMicros, readRecordCommitTime(view, recordOffset));
      units.supersede(group, localPartition, isCopy ? -Infinity : settledMicros);
    }
  }
  index.set(
    handle,
    where,
    block,
    offsetInBlock,
    eventTimeMicros,
    lsn,
    readRecordKind(view, recordOffset) === KIND_DELETE,
    expiryHoursOf(readRecordExpirySeconds(view, recordOffset)),
  );
  return RESULT_APPLIED;
}
