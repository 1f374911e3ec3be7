/**
 * The numbers that blocks and directories are given: rising counters that flush and compaction share.
 *
 * I1  No number is given out twice in the life of a data directory. Each transaction that writes blocks also records, in
 *     the checkpoint (a flush) or in the state of compaction, counters above those it has used; a start takes the larger.
 * I2  Numbers of a transaction that never became durable may be given again after a crash: nothing has them.
 *
 * Flush and compaction may take turns, so one flush's sequences need not be neighbours; one step's are.
 */
import { strict as assert } from 'node:assert';
import { KEY_LO_END } from './block-key.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { CompactionState } from './compaction-state.ts';

export class BlockNumbers {
  /** The next to be given out: level-0 sequence, directory number, level-1 counter. */
  nextSequence: number;
  nextDirectory: number;
  nextCounter: number;

  constructor(checkpoint: Checkpoint, state: CompactionState) {
    this.nextSequence = Math.max(checkpoint.nextSequence, state.nextSequence);
    this.nextDirectory = Math.max(checkpoint.nextDirectory, state.nextDirectory);
    this.nextCounter = state.nextCounter;
  }

  /** Gives out `count` neighbouring sequences: answers the first. */
  takeSequences(count: number): number {
    const first = this.nextSequence;
    this.nextSequence += count;
    assert(this.nextSequence <= KEY_LO_END, 'sequences last for 16 TiB of blocks');
    return first;
  }

  takeDirectory(): number {
    const number = this.nextDirectory;
    this.nextDirectory += 1;
    assert(this.nextDirectory <= KEY_LO_END, 'there are more directory numbers than sequences');
    return number;
  }

  /** Gives out `count` neighbouring level-1 counters: answers the first. */
  takeCounters(count: number): number {
    const first = this.nextCounter;
    this.nextCounter += count;
    assert(this.nextCounter <= KEY_LO_END, 'counters last for 16 TiB of blocks');
    return first;
  }
}
