/**
 * The requests of one connection that wait for their answer, by correlation id.
 *
 *   correlation id = generation (20 bits, from 1) << 12 | slot (12 bits)
 *
 * I1  An id names one call and is not given out again for a million uses of its slot, so the answer that comes after
 *     its request timed out finds nothing, rather than another request.
 * I2  Id 0 is never given out: it is what errors of the connection itself carry.
 * I3  At most IN_FLIGHT_MAX calls are held; `add` on a full table is the caller's mistake.
 *
 * A slot array instead of a Map: adding and taking are a few array reads, and the sweep for deadlines walks it in order.
 */
import assert from 'node:assert/strict';
import type { Call } from './call.ts';
import { IN_FLIGHT_MAX } from './limits.ts';

const SLOT_BITS = Math.log2(IN_FLIGHT_MAX);
const SLOT_MASK = IN_FLIGHT_MAX - 1;
const GENERATION_MAX = 2 ** (32 - SLOT_BITS) - 1;
assert.ok(Number.isInteger(SLOT_BITS));

export class CorrelationTable {
  count = 0;
  private readonly calls: (Call | null)[] = [];
  private readonly generations: number[] = [];
  private readonly freeSlots: number[] = [];

  get isFull(): boolean {
    return this.count === IN_FLIGHT_MAX;
  }

  /** Holds `call` and answers its correlation id. */
  add(call: Call): number {
    assert.ok(this.count < IN_FLIGHT_MAX, 'correlation table: full');
    this.count += 1;
    const freed = this.freeSlots.pop();
    if (freed === undefined) {
      this.calls.push(call);
      this.generations.push(1);
      return this.idOf(this.calls.length - 1);
    }
    this.calls[freed] = call;
    const generation = this.generations[freed]!;
    this.generations[freed] = generation === GENERATION_MAX ? 1 : generation + 1;
    return this.idOf(freed);
  }

  /** The call that waits for an answer with this id, or null. */
  find(id: number): Call | null {
    const slot = id & SLOT_MASK;
    if (slot >= this.calls.length || this.idOf(slot) !== id) return null;
    return this.calls[slot]!;
  }

  remove(id: number): void {
    const slot = id & SLOT_MASK;
    assert.ok(this.calls[slot] !== null && this.idOf(slot) === id, 'correlation table: not held');
    this.calls[slot] = null;
    this.freeSlots.push(slot);
    this.count -= 1;
  }

  /** Takes out and answers the calls whose deadline is before `nowMs`. O(most calls ever in flight). */
  takeExpired(nowMs: number): Call[] {
    const expired: Call[] = [];
    for (let slot = 0; slot < this.calls.length; slot++) {
      const call = this.calls[slot]!;
      if (call === null || call.deadlineMs > nowMs) continue;
      this.remove(this.idOf(slot));
      expired.push(call);
    }
    return expired;
  }

  /** Takes out and answers all calls, in no particular order. */
  takeAll(): Call[] {
    return this.takeExpired(Number.POSITIVE_INFINITY);
  }

  private idOf(slot: number): number {
    return ((this.generations[slot]! << SLOT_BITS) | slot) >>> 0;
  }
}
