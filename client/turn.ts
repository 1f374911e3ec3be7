/**
 * What a client gathers during one turn of the event loop, and does once at its end.
 *
 * Gets of one turn become one request a shard, and the requests of one turn one socket write a connection: a system
 * call costs as much as some fifty encoded requests. The turn ends with `setImmediate`, after all sockets that were
 * ready have been read, so that gets made by several callers of one poll meet too.
 *
 * I1  All gatherers run before any writer, so what gathering encodes leaves in the same turn.
 * I2  A task runs once for any number of `add`s in a turn.
 */

export interface TurnTask {
  /** Set by the turn while the task waits for its end; the task itself leaves it alone. */
  isQueued: boolean;
  endTurn(): void;
}

export class Turn {
  private gatherers: TurnTask[] = [];
  private writers: TurnTask[] = [];
  private isScheduled = false;
  private readonly run = (): void => this.end();

  /** `task` encodes requests at the end of this turn. */
  addGatherer(task: TurnTask): void {
    if (task.isQueued) return;
    task.isQueued = true;
    this.gatherers.push(task);
    this.schedule();
  }

  /** `task` writes what was encoded at the end of this turn. */
  addWriter(task: TurnTask): void {
    if (task.isQueued) return;
    task.isQueued = true;
    this.writers.push(task);
    this.schedule();
  }

  /** Ends the turn now. */
  flush(): void {
    this.end();
  }

  private schedule(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    setImmediate(this.run);
  }

  private end(): void {
    const gatherers = this.gatherers;
    this.gatherers = [];
    for (let i = 0; i < gatherers.length; i++) {
      gatherers[i]!.isQueued = false;
      gatherers[i]!.endTurn();
    }
    // Writers added by the gatherers just run are among these; only then may the next turn schedule itself.
    const writers = this.writers;
    this.writers = [];
    this.isScheduled = false;
    for (let i = 0; i < writers.length; i++) {
      writers[i]!.isQueued = false;
      writers[i]!.endTurn();
    }
    // A gatherer that gathered again while the others ran.
    if (this.gatherers.length > 0) this.schedule();
  }
}
