/**
 * Reads of the past, of a soak: scans as of some moment up to a closed read point.
 *
 * The first scan of such a pair is compared with the model's versions. Then the pair is kept, and scanned again after more writes,
 * sweeps, kills, and in restored backups: the same must come again, row for row, but for what was erased since.
 */
import { type Millrace, MillraceError } from '../client/index.ts';
import type { SeededChoice } from './soak-choice.ts';
import type { SoakModel, SoakMoment } from './soak-model.ts';
import { scanVersions } from './soak-scan.ts';

export interface SoakGroup {
  readonly number: number;
  readonly name: string;
  /** 0: all history is kept. */
  readonly retentionSeconds: number;
  readonly model: SoakModel;
}

interface PastRead {
  readonly group: SoakGroup;
  readonly asOf: number;
  readonly readPoint: number;
  /** When the read began. */
  readonly moment: SoakMoment;
  readonly found: Uint32Array;
}

const KEPT_MAX = 6;
/** Of retention, which may end while the scan goes on. */
const PART_ASKED_FOR = 0.5;

export class SoakPast {
  private readonly rows: number;
  private readonly choice: SeededChoice;
  private readonly startedMicros: number = Date.now() * 1000;
  private readonly fault: (text: string) => void;
  private readonly count: (what: string, by: number) => void;
  private readonly kept: PastRead[] = [];

  constructor(
    rows: number,
    choice: SeededChoice,
    fault: (text: string) => void,
    count: (what: string, by: number) => void,
  ) {
    this.rows = rows;
    this.choice = choice;
    this.fault = fault;
    this.count = count;
  }

  /** Closes a read point, scans as of a moment before it, and compares with the model. */
  async read(client: Millrace, group: SoakGroup): Promise<void> {
    const { model, name } = group;
    const before = model.moment();
    const readPoint = await client.readPoint();
    const closed = model.moment();
    const nowMicros = Date.now() * 1000;
    const back =
      group.retentionSeconds === 0
        ? nowMicros - this.startedMicros
        : Math.min(group.retentionSeconds * 1e6 * PART_ASKED_FOR, nowMicros - this.startedMicros);
    const asOf = nowMicros - Math.floor((this.choice.below(1001) / 1000) * back);
    const found = await this.scan(client, group, asOf, readPoint);
    if (found === undefined) return;
    for (let row = 0; row < this.rows; row++) {
      const wrong = model.pastFault(row, found[row]!, asOf, before, closed, closed);
      if (wrong !== undefined) this.fault(`a scan of the past of ${name}: ${wrong}`);
    }
    this.count('scans as of a past moment', 1);
    if (group.retentionSeconds !== 0 && group.retentionSeconds < 600) return;
    const kept = { group, asOf, readPoint, moment: closed, found };
    if (this.kept.length < KEPT_MAX) this.kept.push(kept);
    else this.kept[this.choice.below(KEPT_MAX)] = kept;
  }

  /** A read made before, closed before `until` when that is given. */
  draw(until: number = Number.POSITIVE_INFINITY): PastRead | undefined {
    const old = this.kept.filter(({ readPoint }) => readPoint < until);
    return old[this.choice.below(Math.max(1, old.length))];
  }

  /** Makes it again: in a node that knows of the erasures that `known` has, and perhaps of later ones. */
  async repeat(client: Millrace, kept: PastRead, known: SoakMoment, where: string): Promise<void> {
    const { group, asOf, readPoint } = kept;
    const { model, name } = group;
    const found = await this.scan(client, group, asOf, readPoint);
    if (found === undefined) return;
    for (let row = 0; row < this.rows; row++) {
      if (found[row] === kept.found[row]) continue;
      const erased = model.lastErasure(row, kept.moment.acknowledged[row]!, model.sent[row]!);
      if (erased > known.acknowledged[row]!) continue;
      if (erased > 0 && found[row] === 0) continue;
      const said = `row ${row} was version ${kept.found[row]} as of ${asOf} up to ${readPoint}, and is ${found[row]} now`;
      this.fault(`a scan of the past of ${name}, again ${where}: ${said}`);
    }
    for (let row = 0; row < this.rows; row++) {
      const erased = model.lastErasure(row, 0, known.acknowledged[row]!);
      if (erased > 0 && found[row] !== 0 && found[row]! <= erased)
        this.fault(`a scan of the past of ${name}, again ${where}: row ${row} has an erased version`);
    }
    this.count(`scans of the past made again ${where}`, 1);
  }

  private async scan(
    client: Millrace,
    group: SoakGroup,
    asOf: number,
    readPoint: number,
  ): Promise<Uint32Array | undefined> {
    const options = { asOf, readPoint };
    try {
      return await scanVersions(client, group, this.rows, options, (text) =>
        this.fault(`a scan of the past of ${group.name}: ${text}`),
      );
    } catch (error) {
      const age = (Date.now() * 1000 - Math.min(asOf, readPoint)) / 1e6;
      const mayExpire = group.retentionSeconds > 0 && age >= group.retentionSeconds;
      if (!(error instanceof MillraceError) || error.code !== 'HISTORY_EXPIRED' || !mayExpire) throw error;
      this.count('scans whose history expired', 1);
      return undefined;
    }
  }
}
