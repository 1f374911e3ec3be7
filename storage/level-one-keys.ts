/**
 * The keys of level-1 blocks in the order of a sweep: read ahead in stretches, since most units have none or one, and a
 * cursor of its own for each unit costs more than the unit.
 *
 *   covered from ──────────── keys read ──────────── covered to        `of` outside of it reads the next stretch
 *
 * I1  Only compaction adds and removes level-1 blocks, and a sweep comes to each unit once: what was read ahead of a unit still
 *     holds when the sweep reaches it. `reset` before each sweep.
 */
import { KEY_HI_END, levelOneKeyHi } from './block-key.ts';
import type { BlockKey, BlockStore } from './block-store.ts';
import { COMPACTION_KEYS_AHEAD } from './limits.ts';

const UNIT_STEP = 1 << 8;

export class LevelOneKeys {
  private readonly store: Pick<BlockStore, 'keys'>;
  private keys: BlockKey[] = [];
  private next = 0;
  private fromHi = 0;
  private toHi = 0;

  constructor(store: Pick<BlockStore, 'keys'>) {
    this.store = store;
  }

  /** Forgets what was read ahead. */
  reset(): void {
    this.keys = [];
    this.next = 0;
    this.fromHi = 0;
    this.toHi = 0;
  }

  /** The unit's keys in the order of their counters. Units come in ascending order between two resets. */
  of(group: number, partition: number): BlockKey[] {
    const unitHi = levelOneKeyHi(group, partition);
    if (unitHi < this.fromHi || unitHi >= this.toHi) this.readAhead(unitHi);
    const { keys } = this;
    while (this.next < keys.length && (keys[this.next] as BlockKey).keyHi < unitHi) this.next += 1;
    const from = this.next;
    while (this.next < keys.length && (keys[this.next] as BlockKey).keyHi < unitHi + UNIT_STEP)
      this.next += 1;
    return keys.slice(from, this.next);
  }

  private readAhead(fromHi: number): void {
    const keys: BlockKey[] = [];
    this.toHi = KEY_HI_END;
    this.store.keys(fromHi, 0, KEY_HI_END, 0, (keyHi, keyLo) => {
      if (keys.length >= COMPACTION_KEYS_AHEAD && unitOf(keyHi) !== unitOf((keys.at(-1) as BlockKey).keyHi)) {
        this.toHi = unitOf(keyHi);
        return false;
      }
      keys.push({ keyHi, keyLo });
      return undefined;
    });
    this.keys = keys;
    this.next = 0;
    this.fromHi = fromHi;
  }
}

function unitOf(keyHi: number): number {
  return (keyHi - (keyHi % UNIT_STEP)) >>> 0;
}
