/**
 * Erasures of one shard: the store's work (storage/key-erasure.ts), then the proof over the node's files, as often as it takes.
 *
 * I1  One at a time; another is refused OVERLOADED.
 * I2  It is answered only when a search of every file found no copy. Pages that a scan, a backup or a lookup in another thread
 *     still sees cannot be written over yet: then the free pages are written over again, ERASE_ROUNDS_MAX times with pauses in
 *     between, before OVERLOADED says to ask again later.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Erasure } from '../protocol/index.ts';
import type { ErasedKey, ShardStore } from '../storage/index.ts';
import { proveErasure } from './erase-proof.ts';
import { ERASE_PAUSE_MS, ERASE_ROUNDS_MAX } from './limits.ts';
import { ServerError } from './server-error.ts';

export class Eraser {
  readonly #store: Pick<ShardStore, 'eraseKey' | 'overwriteFreePages'>;
  readonly #dataDirectory: string;
  #isRunning = false;

  constructor(store: Pick<ShardStore, 'eraseKey' | 'overwriteFreePages'>, dataDirectory: string) {
    this.#store = store;
    this.#dataDirectory = dataDirectory;
  }

  /** Throws OVERLOADED at once; rejects when the store refuses or has stopped. */
  erase(erased: ErasedKey): Promise<Erasure> {
    if (this.#isRunning) throw new ServerError('OVERLOADED', 'this shard is erasing another key');
    this.#isRunning = true;
    return this.#erase(erased).finally(() => {
      this.#isRunning = false;
    });
  }

  async #erase(erased: ErasedKey): Promise<Erasure> {
    const startedMs = performance.now();
    const highestLsn = await this.#store.eraseKey(erased);
    for (let round = 1; ; round++) {
      const { files, bytes, copies, newer, where } = await proveErasure(
        this.#dataDirectory,
        erased,
        highestLsn,
      );
      if (copies === 0) {
        const milliseconds = Math.round(performance.now() - startedMs);
        return { files, bytes, newer, partition: erased.partition, highestLsn, milliseconds };
      }
      if (round === ERASE_ROUNDS_MAX) {
        throw new ServerError(
          'OVERLOADED',
          `the key can no longer be read, but ${where} still has old bytes of it: a long read holds them; erase it again later`,
        );
      }
      await delay(ERASE_PAUSE_MS);
      await this.#store.overwriteFreePages();
    }
  }
}
