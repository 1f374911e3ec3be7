/**
 * What a soak expects of the node: of each row all versions that were sent, and what is known of each.
 *
 * I1  A row's versions are numbered from 1. Every value of a row is made from (group, id, number), so each answer tells which
 *     version it is, and is checked whole.
 * I2  One writer owns a row and sends one version after the other. The event times of puts and deletions rise with their numbers;
 *     a late version lies before the newest one by event time, so only history sees it.
 * I3  A write that was answered was applied. One whose outcome is unknown (the node was killed) is there or not, and stays so.
 * I4  An erasure has a number too. When it is answered no version below that number is anywhere; while it is under way any
 *     of them may be, alone or with others.
 *
 * Lookups and scans are checked between two moments: what may be is between the newest version that was acknowledged at the
 * first and the last one that was sent at the second. Reads of the past are checked against all versions of the row.
 */

/** Kinds of a version. */
export const PUT = 1;
export const DELETED = 2;
/** Enters history only. */
export const LATE = 3;
export const ERASED = 4;

/** What was known at a moment. Copies of the model's columns. */
export type SoakMoment = Pick<SoakModel, 'newest' | 'acknowledged' | 'sent'>;

export class SoakModel {
  /** By row: the last number given out. */
  readonly sent: Uint32Array;
  /** By row: the last number that was answered, and the last of them that is no late version. */
  readonly acknowledged: Uint32Array;
  readonly newest: Uint32Array;
  /** By row and number, from 0. */
  private readonly kinds: number[][];
  private readonly eventTimes: number[][];
  /** By row: the highest event time of a put or deletion. */
  private readonly lastTimes: Float64Array;
  /** By row: numbers whose outcome is unknown. */
  private readonly unknown: Map<number, Set<number>> = new Map();

  constructor(rows: number) {
    this.sent = new Uint32Array(rows);
    this.acknowledged = new Uint32Array(rows);
    this.newest = new Uint32Array(rows);
    this.kinds = Array.from({ length: rows }, () => []);
    this.eventTimes = Array.from({ length: rows }, () => []);
    this.lastTimes = new Float64Array(rows);
  }

  /** The number of a version about to be sent. */
  begin(row: number, kind: number, eventTime: number): number {
    const number = this.sent[row]! + 1;
    this.sent[row] = number;
    this.kinds[row]!.push(kind);
    this.eventTimes[row]!.push(eventTime);
    this.lastTimes[row] = Math.max(this.lastTimes[row]!, eventTime);
    return number;
  }

  acknowledge(row: number, number: number): void {
    this.acknowledged[row] = number;
    if (this.kindOf(row, number) !== LATE) this.newest[row] = number;
  }

  /** Nobody will ever say what became of it. */
  lose(row: number, number: number): void {
    const numbers = this.unknown.get(row) ?? new Set();
    this.unknown.set(row, numbers.add(number));
  }

  moment(): SoakMoment {
    return {
      newest: this.newest.slice(),
      acknowledged: this.acknowledged.slice(),
      sent: this.sent.slice(),
    };
  }

  /** No version of the row is on its way, and the last one's outcome is known. */
  isQuiet(row: number): boolean {
    return this.acknowledged[row] === this.sent[row];
  }

  /** Being erased: nobody may write it meanwhile. */
  isErasing(row: number): boolean {
    const sent = this.sent[row]!;
    return sent > this.acknowledged[row]! && this.kindOf(row, sent) === ERASED;
  }

  /** The event time of the newest version by event time that is surely there, deletions included; 0 when there is none. */
  newestEventTime(row: number): number {
    const number = this.newest[row]!;
    return number === 0 || this.kindOf(row, number) === ERASED ? 0 : this.eventTimes[row]![number - 1]!;
  }

  /** Later than that of any version of the row. */
  nextEventTime(row: number, nowMicros: number): number {
    return Math.max(nowMicros, this.lastTimes[row]! + 1);
  }

  /**
   * Why a row that answered `found` (a number, 0 for none) is wrong, or undefined: `from` was the newest acknowledged before
   * the question, `to` the last sent before the answer.
   */
  fault(row: number, found: number, from: number, to: number): string | undefined {
    if (found > to) return `row ${row} is version ${found}; ${to} were sent`;
    if (this.lastErasure(row, from, to) > 0) return undefined;
    const said = `it may be ${from} to ${to}`;
    if (found !== 0) {
      if (found >= from && this.kindOf(row, found) === PUT) return undefined;
      return `row ${row} is version ${found}; ${said}`;
    }
    if (from === 0) return undefined;
    for (let number = from; number <= to; number++) if (this.isGone(row, number)) return undefined;
    return `row ${row} is missing; ${said}, none of them a deletion`;
  }

  /**
   * Why a row that a read as of `asOf` answered as `found` is wrong. `before`: the moment at which the read point began to be
   * closed; `closed`: when it was; `read`: when the read began.
   */
  pastFault(
    row: number,
    found: number,
    asOf: number,
    before: SoakMoment,
    closed: SoakMoment,
    read: SoakMoment,
  ): string | undefined {
    const to = closed.sent[row]!;
    if (found > to) return `row ${row} is version ${found} as of ${asOf}; ${to} were sent`;
    const erased = this.lastErasure(row, 0, this.sent[row]!);
    if (erased > read.acknowledged[row]!) return undefined;
    const unknown = this.unknown.get(row);
    const times = this.eventTimes[row]!;
    let best = 0;
    for (let number = erased + 1; number <= before.acknowledged[row]!; number++) {
      if (unknown?.has(number) || times[number - 1]! > asOf) continue;
      if (best === 0 || times[number - 1]! >= times[best - 1]!) best = number;
    }
    if (found === best || (found === 0 && this.isGone(row, best))) return undefined;
    // Versions that nobody knows of: the newest of those that are there.
    for (let number = erased + 1; number <= to; number++) {
      const isCertain = number <= before.acknowledged[row]! && unknown?.has(number) !== true;
      if (isCertain || times[number - 1]! > asOf) continue;
      const isNewer = best === 0 || times[number - 1]! > times[best - 1]! || number > best;
      if (isNewer && (found === number || (found === 0 && this.isGone(row, number)))) return undefined;
    }
    return `row ${row} is version ${found} as of ${asOf}; it should be ${best}, erased up to ${erased}, sent up to ${to}`;
  }

  /** The number of the last erasure in (from, to], 0 for none. */
  lastErasure(row: number, from: number, to: number): number {
    for (let number = to; number > from; number--) if (this.kindOf(row, number) === ERASED) return number;
    return 0;
  }

  private isGone(row: number, number: number): boolean {
    const kind = number === 0 ? DELETED : this.kindOf(row, number);
    return kind === DELETED || kind === ERASED;
  }

  private kindOf(row: number, number: number): number {
    return this.kinds[row]![number - 1]!;
  }
}
