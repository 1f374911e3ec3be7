/**
 * Which versions a read of whole partitions sees: the latest, or those as of a moment.
 *
 *   latest   of each key the newest by (event time, LSN) that is not history only; expired by the clock of now
 *   as of    of each key the newest by (event time, LSN) with event time ≤ asOf and commit time ≤ readPoint, whether it
 *            was history only or not; expired by the clock of asOf
 *   since    of those, only what was committed after a moment
 *
 * I1  An as-of read sees the same whenever it is repeated, while retention lasts and if its read point is closed: later
 *     commits lie above the read point, and compaction keeps, of each key, what any moment within retention sees.
 * I2  What it needs may be gone when the earlier of its two moments lies before the retention: `assertHistory`, to be
 *     asked after the blocks are pinned and before their rows are used.
 */
import { StorageError } from './storage-error.ts';

export interface HistoryBounds {
  readonly asOfMicros: number;
  readonly readPointMicros: number;
}

export interface ReadView {
  /** Null: the latest. */
  readonly bounds: HistoryBounds | null;
  /** Null: whenever they were committed. */
  readonly sinceMicros: number | null;
}

export const LATEST: ReadView = { bounds: null, sinceMicros: null };

/** The second by which a view decides what has expired. */
export function expirySecond(view: ReadView, nowSeconds: number): number {
  return view.bounds === null ? nowSeconds : Math.floor(view.bounds.asOfMicros / 1e6);
}

/** Throws HISTORY_EXPIRED when the view reaches back before what the retention keeps now, or kept before it was lengthened. */
export function assertHistory(
  view: ReadView,
  nowMicros: number,
  retentionMicros: number,
  historyFromMicros: number | undefined,
): void {
  if (view.bounds === null) return;
  const { asOfMicros, readPointMicros } = view.bounds;
  const kept = Math.max(nowMicros - retentionMicros, historyFromMicros ?? Number.NEGATIVE_INFINITY);
  const needed = Math.min(asOfMicros, readPointMicros);
  if (needed >= kept) return;
  throw new StorageError(
    'HISTORY_EXPIRED',
    `the read reaches back to ${needed} µs, and the group's history begins at ${kept} µs`,
  );
}
