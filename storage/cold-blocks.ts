/**
 * Reads blocks for the cache: at once when they are in memory, through other threads when the device has to be waited for.
 *
 *   lookup ─▶ cache misses ─▶ read ──▶ the block
 *                              └▶ null: wanted ─▶ fetch ─▶ prefetch on libuv threads ─▶ done ─▶ the lookup is repeated
 *
 * I1  `done` is called once, in a later turn: null when a repeat will find the blocks in memory, an error when the store closes.
 * I2  What was fetched is read directly afterwards, though the cache may have lost it: a repeat never waits for the same blocks
 *     again, unless COLD_KEYS_REMEMBERED others were fetched in between.
 * I3  A lone read is made directly although it waits for the device: the lookup has one key, no other read waits, `isWriting` says
 *     that no write does, and it is the first that is not in memory in its turn of the event loop. So what comes meanwhile waits
 *     for one read of the device at most, and reads that could overlap do. When it may not: read-choice.ts.
 * I4  At most COLD_KEYS_WAITING_MAX blocks are waited for; what would exceed it is refused OVERLOADED.
 *
 * When to read directly is read-choice.ts, who takes turns at the threads prefetch-queue.ts.
 */
import { strict as assert } from 'node:assert';
import type { BlockKey, BlockStore } from './block-store.ts';
import { COLD_KEYS_REMEMBERED, COLD_KEYS_WAITING_MAX, COLD_PRESSURE_KEYS } from './limits.ts';
import { ReadChoice } from './read-choice.ts';
import { StorageError } from './storage-error.ts';

export interface ColdBlocksOptions {
  readonly store: Pick<BlockStore, 'read' | 'prefetch'>;
  /** A monotonic clock in µs. */
  readonly timerMicros: () => number;
  /** Runs a function when this turn of the event loop has ended. */
  readonly schedule: (run: () => void) => void;
  /** True while writes wait to be acknowledged: no read holds them up. */
  readonly isWriting: () => boolean;
}

export class ColdBlocks {
  /** Blocks fetched by other threads since the start. */
  fetched = 0;
  /** Lookups that waited for them. */
  waits = 0;
  /** Lone reads. */
  alone = 0;
  /** Blocks that are waited for now. */
  keysWaiting = 0;
  /** The most at once. */
  keysWaitingMost = 0;
  readonly #options: ColdBlocksOptions;
  readonly #choice: ReadChoice = new ReadChoice();
  #wanted: BlockKey[] = [];
  /** What was fetched lately, in two generations: the older is forgotten when the newer is full. */
  #remembered: Set<number> = new Set();
  #rememberedBefore: Set<number> = new Set();
  #mayWait = false;
  /** The lookup has one key. */
  #isSingle = false;
  /** In this turn a block was not in memory: another read would add to what waits. */
  #isTurnTaken = false;
  readonly #endTurn: () => void;
  #isClosed = false;

  constructor(options: ColdBlocksOptions) {
    this.#options = options;
    this.#endTurn = (): void => {
      this.#isTurnTaken = false;
    };
  }

  /** A lookup of so many keys begins; one that may not wait gets every block directly. */
  begin(mayWait: boolean, keyCount: number): void {
    this.#mayWait = mayWait;
    this.#isSingle = keyCount === 1;
    this.#choice.begin();
    if (this.#wanted.length > 0) this.#wanted = [];
  }

  /** Blocks that the lookup has to wait for. */
  get wantedCount(): number {
    return this.#wanted.length;
  }

  /** True while misses are fetched by other threads. */
  get isFetching(): boolean {
    return this.#choice.isFetching;
  }

  /** True while readers should be held back. */
  get isBusy(): boolean {
    return this.keysWaiting >= COLD_PRESSURE_KEYS;
  }

  /** The block, undefined when there is none, null when it is wanted now. The view holds until the next read. */
  read(keyHi: number, keyLo: number): Uint8Array | undefined | null {
    const { store, timerMicros } = this.#options;
    if (!this.#mayWait) return store.read(keyHi, keyLo);
    const mark = markOf(keyHi, keyLo);
    if (this.#remembered.has(mark) || this.#rememberedBefore.has(mark)) return store.read(keyHi, keyLo);
    let isAlone = false;
    if (!this.#choice.mayRead()) {
      isAlone = this.#mayReadAlone();
      if (!isAlone) {
        this.#wanted.push({ keyHi, keyLo });
        return null;
      }
    }
    const startMicros = timerMicros();
    const bytes = store.read(keyHi, keyLo);
    const micros = timerMicros() - startMicros;
    this.#choice.record(micros, bytes === undefined ? 0 : bytes.length);
    if (isAlone) {
      this.alone += 1;
      this.#choice.recordAlone(micros);
    }
    return bytes;
  }

  /** Takes the turn, whatever it answers: the next read of this turn is not alone. */
  #mayReadAlone(): boolean {
    const isAlone =
      this.#isSingle && !this.#isTurnTaken && this.keysWaiting === 0 && !this.#options.isWriting();
    if (!this.#isTurnTaken) {
      this.#isTurnTaken = true;
      this.#options.schedule(this.#endTurn);
    }
    return this.#choice.mayReadAlone() && isAlone;
  }

  /** Begins to fetch what the lookup wants. Throws OVERLOADED, SHUTTING_DOWN. */
  fetch(done: (error: StorageError | null) => void): void {
    const keys = this.#wanted;
    assert(keys.length > 0, 'a lookup waits for something');
    this.#wanted = [];
    if (this.#isClosed) throw shuttingDown();
    if (this.keysWaiting + keys.length > COLD_KEYS_WAITING_MAX) {
      throw new StorageError(
        'OVERLOADED',
        `read refused: ${this.keysWaiting} blocks already wait for the device, ${COLD_KEYS_WAITING_MAX} are allowed`,
      );
    }
    this.waits += 1;
    this.keysWaiting += keys.length;
    this.keysWaitingMost = Math.max(this.keysWaitingMost, this.keysWaiting);
    void this.#options.store.prefetch(keys).then(() => {
      this.keysWaiting -= keys.length;
      this.fetched += keys.length;
      if (this.#isClosed) {
        done(shuttingDown());
        return;
      }
      for (const { keyHi, keyLo } of keys) this.#remember(keyHi, keyLo);
      done(null);
    });
  }

  /** From now on nothing waits; what waits is told so when its prefetch has ended. */
  close(): void {
    this.#isClosed = true;
  }

  #remember(keyHi: number, keyLo: number): void {
    if (this.#remembered.size >= COLD_KEYS_REMEMBERED) {
      this.#rememberedBefore = this.#remembered;
      this.#remembered = new Set();
    }
    this.#remembered.add(markOf(keyHi, keyLo));
  }
}

/** The key as one number. Beyond group 511 two keys may share it, and one of them is then read directly: no harm. */
function markOf(keyHi: number, keyLo: number): number {
  return (keyHi >>> 8) * 2 ** 32 + keyLo;
}

function shuttingDown(): StorageError {
  return new StorageError('SHUTTING_DOWN', 'read refused: the shard is closing');
}
