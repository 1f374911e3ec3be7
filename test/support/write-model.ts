/**
 * What the write path must decide, said slowly: every version of every key in a list, searched anew for each row.
 *
 * Rows are decided one after another, in the order in which they are laid down, by all versions laid before, whether they are
 * durable or not. Nothing is shared with the code under test but the numbers of codes.
 */
import assert from 'node:assert/strict';
import { type ErrorCodeName, errorNumber } from '../../protocol/index.ts';
import type { GroupPolicies } from '../../storage/group-policy.ts';
import { KIND_DELETE } from '../../storage/record.ts';
import type { WriteRequest } from '../../storage/write-request.ts';

export interface ModelVersion {
  readonly group: number;
  readonly key: string;
  readonly partition: number;
  readonly eventTime: number;
  readonly lsn: number;
  readonly isDelete: boolean;
  readonly isHistory: boolean;
  readonly expirySeconds: number;
  readonly value: number;
  readonly request: WriteRequest;
  isDurable: boolean;
}

export interface ModelDecision {
  readonly results: number[];
  readonly lsns: number[];
  /** The versions that the decisions looked at, and the rows' own. */
  readonly seen: ModelVersion[];
}

const FUTURE_MICROS = 300e6;

export class WriteModel {
  versions: ModelVersion[] = [];
  mayInsert = true;
  private readonly policies: GroupPolicies;
  private readonly lsns: Map<number, number> = new Map();
  private readonly written: Map<string, { lsn: number; result: number; version: ModelVersion }> = new Map();

  constructor(policies: GroupPolicies) {
    this.policies = policies;
  }

  newest(group: number, key: string): ModelVersion | undefined {
    let newest: ModelVersion | undefined;
    for (const version of this.versions) {
      if (version.group !== group || version.key !== key || version.isHistory) continue;
      const isNewer =
        newest === undefined ||
        version.eventTime > newest.eventTime ||
        (version.eventTime === newest.eventTime && version.lsn > newest.lsn);
      if (isNewer) newest = version;
    }
    return newest;
  }

  isLive(version: ModelVersion | undefined, nowMicros: number): version is ModelVersion {
    if (version === undefined || version.isDelete) return false;
    return version.expirySeconds === 0 || version.expirySeconds > Math.floor(nowMicros / 1e6);
  }

  /** Decides all rows. `values`: what each row puts, or adds if the request patches. NaN: a patch that cannot be merged. */
  lay(
    request: WriteRequest,
    keys: readonly string[],
    values: readonly number[],
    nowMicros: number,
  ): ModelDecision {
    const decision: ModelDecision = { results: [], lsns: [], seen: [] };
    const ordinals = new Map<number, number>();
    keys.forEach((key, row) => {
      const partition = request.keys.digests[2 * row]! & 4095;
      const ordinal = ordinals.get(partition) ?? 0;
      ordinals.set(partition, ordinal + 1);
      const written = this.writtenKey(request, partition, ordinal);
      const before = written === '' ? undefined : this.written.get(written);
      if (before !== undefined) {
        decision.results.push(before.result);
        decision.lsns.push(before.lsn);
        decision.seen.push(before.version);
        return;
      }
      const newest = this.newest(request.group, key);
      const refusal = this.refusal(request, row, newest, values[row]!, nowMicros);
      const wasRefusedByTime = refusal === 'TOO_LATE' || refusal === 'EVENT_TIME_IN_FUTURE';
      if (newest !== undefined && !wasRefusedByTime && !request.isBackfill) decision.seen.push(newest);
      if (refusal !== null) {
        decision.results.push(errorNumber(refusal));
        decision.lsns.push(0);
        return;
      }
      const version = this.append(request, key, row, partition, newest, values[row]!, nowMicros);
      const isSuperseded = newest !== undefined && newest.eventTime > version.eventTime;
      const result = request.isBackfill ? 2 : isSuperseded ? 1 : 0;
      if (written !== '') this.written.set(written, { lsn: version.lsn, result, version });
      decision.results.push(result);
      decision.lsns.push(version.lsn);
      decision.seen.push(version);
    });
    return decision;
  }

  /** A full device refused everything that is not durable, immediate rows excepted. */
  dropUndurable(isKept: (version: ModelVersion) => boolean): void {
    const isGone = (version: ModelVersion): boolean => !version.isDurable && !isKept(version);
    for (const [key, { version }] of this.written) if (isGone(version)) this.written.delete(key);
    this.versions = this.versions.filter((version) => !isGone(version));
  }

  private writtenKey(request: WriteRequest, partition: number, ordinal: number): string {
    const { clientIdLo, clientIdHi, sequence } = request;
    return clientIdLo === 0 && clientIdHi === 0
      ? ''
      : `${partition} ${clientIdLo} ${clientIdHi} ${sequence} ${ordinal}`;
  }

  private refusal(
    request: WriteRequest,
    row: number,
    newest: ModelVersion | undefined,
    value: number,
    nowMicros: number,
  ): ErrorCodeName | null {
    const policy = this.policies.policyOf(request.group);
    assert.ok(policy !== undefined);
    const eventTime = request.eventTimes[row]!;
    const horizon = Math.max(policy.retentionMicros, policy.latenessMicros);
    if (eventTime > nowMicros + FUTURE_MICROS) return 'EVENT_TIME_IN_FUTURE';
    if (request.isBackfill) return null;
    if (eventTime < nowMicros - horizon) return 'TOO_LATE';
    if (request.ifVersions !== null) {
      const lsn = this.isLive(newest, nowMicros) ? newest.lsn : 0;
      if (request.ifVersions[row] !== lsn) return 'VERSION_MISMATCH';
    }
    const isLate = newest !== undefined && eventTime < newest.eventTime && !request.isTimeFloor;
    if (request.merge !== null && isLate) return 'LATE_PATCH';
    if (!this.mayInsert && newest === undefined) return 'MEMORY_FULL';
    if (request.merge !== null && Number.isNaN(value)) return 'PATCH_INVALID';
    return null;
  }

  private append(
    request: WriteRequest,
    key: string,
    row: number,
    partition: number,
    newest: ModelVersion | undefined,
    value: number,
    nowMicros: number,
  ): ModelVersion {
    const lsn = (this.lsns.get(partition) ?? 0) + 1;
    this.lsns.set(partition, lsn);
    const floor = request.isTimeFloor && newest !== undefined ? newest.eventTime : Number.NEGATIVE_INFINITY;
    const eventTime = Math.max(request.eventTimes[row]!, floor);
    const base = request.merge !== null && this.isLive(newest, nowMicros) ? newest.value : 0;
    const version: ModelVersion = {
      group: request.group,
      key,
      partition,
      eventTime,
      lsn,
      isDelete: request.kind === KIND_DELETE,
      isHistory: request.isBackfill,
      expirySeconds:
        request.ttlSeconds === 0 ? 0 : Math.max(1, Math.floor(eventTime / 1e6) + request.ttlSeconds),
      value: base + value,
      request,
      isDurable: false,
    };
    this.versions.push(version);
    return version;
  }
}
