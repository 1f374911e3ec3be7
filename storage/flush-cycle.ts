/**
 * The write buffer's two generations and the flushes between them: one takes records, one is on its way into blocks.
 *
 *   active ──full, or the journal is long──▶ sealed ──flush──▶ blocks, checkpoint ──▶ journal recycled
 *
 * I1  Two generations at most. While one is flushed and the other is over its half of the bound, `isFull` asks writers to
 *     wait; when it alone has reached the whole bound, `isOverfull` refuses them.
 * I2  A flush begins when the active generation reaches half of the bound, or when the journal holds JOURNAL_BYTES_MAX.
 * I3  A failed flush is told once, by `onFatal`; no other begins after it.
 *
 * What a flush does is flush.ts.
 */
import { strict as assert } from 'node:assert';
import type { Flush } from './flush.ts';
import type { Journal } from './journal.ts';
import { JOURNAL_BYTES_MAX } from './limits.ts';
import { StorageError } from './storage-error.ts';
import { WriteBuffer } from './write-buffer.ts';

export interface FlushCycleOptions {
  readonly localPartitionCount: number;
  /** Both generations together. */
  readonly writeBufferBytes: number;
  readonly flush: Flush;
  readonly journal: Journal;
  /** What the journal's tail was replayed into. */
  readonly buffer: WriteBuffer;
  /** The journal position below which every record has been applied. */
  readonly appliedPosition: () => number;
  /** The moment before which every accepted write has been applied by now. */
  readonly sealedMicros: () => number;
  readonly onFlushed: () => void;
  readonly onFatal: (error: StorageError) => void;
}

export class FlushCycle {
  active: WriteBuffer;
  /** Finished since the start. */
  count = 0;
  /** Every write that was accepted before this is in blocks. */
  flushedMicros: number = -Infinity;
  private readonly options: FlushCycleOptions;
  private sealed: WriteBuffer | undefined;
  private running: Promise<void> | undefined;
  private isFailed = false;

  constructor(options: FlushCycleOptions) {
    this.options = options;
    this.active = options.buffer;
  }

  /** Records that blocks do not hold yet, the older generation first. */
  get generations(): readonly WriteBuffer[] {
    return this.sealed === undefined ? [this.active] : [this.sealed, this.active];
  }

  get isFlushing(): boolean {
    return this.running !== undefined;
  }

  get isFull(): boolean {
    return this.running !== undefined && this.active.bytes >= this.generationBytes;
  }

  get isOverfull(): boolean {
    return this.running !== undefined && this.active.bytes >= this.options.writeBufferBytes;
  }

  /** To be called when records were added, and once at the start: begins a flush if it is due. */
  consider(): void {
    if (this.running !== undefined || this.isFailed || this.active.count === 0) return;
    const isDue =
      this.active.bytes >= this.generationBytes || this.options.journal.bytesHeld >= JOURNAL_BYTES_MAX;
    if (isDue) void this.start();
  }

  /** Moves everything durable so far into blocks. */
  async flush(): Promise<void> {
    while (this.running !== undefined) await this.running;
    if (this.active.count > 0 && !this.isFailed) await this.start();
  }

  /** No flush begins any more. */
  stop(): void {
    this.isFailed = true;
  }

  private get generationBytes(): number {
    return this.options.writeBufferBytes / 2;
  }

  /** Seals the active generation and flushes it; the answer never rejects (a failure is fatal and told so). */
  private start(): Promise<void> {
    assert(this.running === undefined);
    const { flush, journal, localPartitionCount, appliedPosition, onFlushed, onFatal } = this.options;
    const buffer = this.active;
    const journalPosition = appliedPosition();
    const sealedMicros = this.options.sealedMicros();
    buffer.seal();
    this.sealed = buffer;
    this.active = new WriteBuffer(localPartitionCount);
    this.running = flush
      .run(buffer, journalPosition, () => {
        this.sealed = undefined;
      })
      .then(() => {
        this.count += 1;
        this.flushedMicros = sealedMicros;
        journal.recycleBefore(journalPosition);
      })
      .catch((error: unknown) => {
        this.isFailed = true;
        onFatal(asStorageError(error));
      })
      .finally(() => {
        this.running = undefined;
        if (!this.isFailed) onFlushed();
        this.consider();
      });
    return this.running;
  }
}

function asStorageError(error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new StorageError('INTERNAL', `flush failed: ${message}`, { cause: error });
}
