/**
 * Counters of a shard's lives: rows that are merged into by patches, replaced on conditions and deleted, every request with an
 * idempotency key. Both processes know what a request must lead to.
 *
 * A request that a life did not live to see answered is sent again by the next one. So what a counter is can be told exactly: every
 * change that was answered, each once.
 */
import {
  add,
  append,
  ByteWriter,
  compileLayout,
  decodeRow,
  encodePatch,
  encodeRow,
  type GroupSchema,
  max,
  min,
  type PatchStep,
} from '../../protocol/index.ts';
import { GroupTable } from '../../server/group-table.ts';
import { PatchMerges } from '../../server/patch-merges.ts';
import type { PatchMerge } from '../../storage/index.ts';
import { schemaOf } from '../protocol/sample-schemas.ts';

export const COUNTERS = 240;
const RECENT_MAX = 5;

const SCHEMA: GroupSchema = schemaOf([
  { name: 'total', type: 'int64' },
  { name: 'low', type: 'int32' },
  { name: 'high', type: 'int32' },
  { name: 'recent', type: 'list', item: 'int32' },
]);
export const COUNTER_GROUP: number = SCHEMA.id;
const LAYOUT = compileLayout(SCHEMA);

export function counterKey(counter: number): string {
  return `counter-${counter}`;
}

/** What a row of a request does. Numbers of a put: what the counter becomes. */
export interface CounterChange {
  readonly counter: number;
  /** The event time, as of versions. */
  readonly version: number;
  readonly add: number;
  readonly low: number | null;
  readonly high: number | null;
  readonly items: readonly number[];
}

/** All rows of a request are of one kind, and must have one result. */
export interface CounterRequest {
  readonly sequence: number;
  /** late: a patch of an event time before that of the row that is there. */
  readonly kind: 'patch' | 'put' | 'remove' | 'late';
  /** The LSNs that the rows must have, of a put; null: no condition. */
  readonly ifVersions: readonly number[] | null;
  readonly expected: 'applied' | 'LATE_PATCH' | 'VERSION_MISMATCH';
  readonly changes: readonly CounterChange[];
  /** The clock of the life that sent it first: its key is known for ten minutes from then on. */
  readonly clockMicros: number;
}

/** As text: `total/low/high/item.item`, and `-` when there is none. */
export type CounterState = string;
export const NO_COUNTER: CounterState = '-';

/** What the counter is after the change. */
export function changed(
  state: CounterState,
  { kind, expected }: CounterRequest,
  change: CounterChange,
): CounterState {
  if (expected !== 'applied') return state;
  if (kind === 'remove') return NO_COUNTER;
  const isMerged = kind === 'patch' && state !== NO_COUNTER;
  const [total, low, high, items] = isMerged ? state.split('/') : ['0', '', '', ''];
  const bound = (
    there: string | undefined,
    given: number | null,
    pick: (...of: number[]) => number,
  ): string =>
    given === null ? (there as string) : String(there === '' ? given : pick(Number(there), given));
  const kept = [...(items === '' ? [] : (items as string).split('.')), ...change.items.map(String)];
  return [
    Number(total) + change.add,
    bound(low, change.low, Math.min),
    bound(high, change.high, Math.max),
    kept.slice(-RECENT_MAX).join('.'),
  ].join('/');
}

/** A change as the row or patch that a client encodes. */
export function payloadOf(kind: CounterRequest['kind'], change: CounterChange): Uint8Array {
  const writer = new ByteWriter();
  const { low, high, items } = change;
  if (kind === 'put') {
    encodeRow(LAYOUT, { total: BigInt(change.add), low, high, recent: items.slice(-RECENT_MAX) }, writer);
  } else {
    const steps: Record<string, PatchStep> = { total: add(BigInt(change.add)) };
    if (low !== null) steps['low'] = min(low);
    if (high !== null) steps['high'] = max(high);
    if (items.length > 0) steps['recent'] = append(items, { max: RECENT_MAX });
    encodePatch(LAYOUT, steps, writer);
  }
  return Uint8Array.from(writer.bytes.subarray(0, writer.length));
}

export function stateOf(payload: Uint8Array | null): CounterState {
  if (payload === null) return NO_COUNTER;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const { total, low, high, recent } = decodeRow(LAYOUT, view, 0) as {
    total: bigint;
    low: number | null;
    high: number | null;
    recent: number[] | null;
  };
  return [total, low ?? '', high ?? '', (recent ?? []).join('.')].join('/');
}

/** The merge that a node lends its store. */
export function counterMerge(): PatchMerge {
  return new PatchMerges(new GroupTable([SCHEMA])).of(COUNTER_GROUP);
}
