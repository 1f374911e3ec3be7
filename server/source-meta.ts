/**
 * What the sources' own values say together, when several shards become others: numbers go on above all of them.
 */
import {
  COMPACTION_STATE_EMPTY,
  type CompactionState,
  decodeReadPoint,
  READ_POINT_KEY_HI,
} from '../storage/index.ts';

export interface SourceMeta {
  readonly flushNumber: number;
  readonly state: CompactionState;
  /** Values as the store holds them; undefined where it has none. */
  readonly clocks: Uint8Array | undefined;
  readonly readPoint: Uint8Array | undefined;
}

export interface FoldedMeta {
  readonly flushNumber: number;
  readonly state: CompactionState;
  /** What each new shard gets beside its own values. */
  readonly values: readonly { readonly keyHi: number; readonly keyLo: number; readonly bytes: Uint8Array }[];
}

export function foldMeta(metas: readonly SourceMeta[]): FoldedMeta {
  const states = metas.map(({ state }) => state);
  const highest = (of: (state: CompactionState) => number): number => Math.max(1, ...states.map(of));
  return {
    flushNumber: Math.max(0, ...metas.map(({ flushNumber }) => flushNumber)),
    state: {
      ...COMPACTION_STATE_EMPTY,
      changeNumber: highest((state) => state.changeNumber),
      sweepNumber: highest((state) => state.sweepNumber),
      nextCounter: highest((state) => state.nextCounter),
    },
    values: latestReadPoint(metas),
  };
}

/** The latest read point that any source has closed: every new shard keeps its commit times above it, so it stays closed. */
function latestReadPoint(metas: readonly SourceMeta[]): FoldedMeta['values'] {
  const points = metas.flatMap(({ readPoint }) => (readPoint === undefined ? [] : [readPoint]));
  const [latest] = points.sort((a, b) => decodeReadPoint(b) - decodeReadPoint(a));
  return latest === undefined ? [] : [{ keyHi: READ_POINT_KEY_HI, keyLo: 1, bytes: latest }];
}
