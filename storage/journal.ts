/**
 * The journal of one shard: group commits, each durable before it is acknowledged.
 */

export interface Journal {
  /** Where the next frame would start. Everything before it is durable: a checkpoint may name it. */
  readonly nextPosition: number;
  /** Bytes of the segments that hold frames not yet recycled, the active one included. */
  readonly bytesHeld: number;
  /**
   * Appends one frame of the parts' bytes (`bodyBytes` in all, a multiple of 8) and reports when it is durable. One at a
   * time. The parts are written from where they lie: the caller leaves them alone until `done`, which is never called
   * before `commit` returns. After an error every later commit is refused with the same error: the shard must stop.
   */
  commit(
    parts: readonly Uint8Array[],
    bodyBytes: number,
    recordCount: number,
    done: (error: Error | null) => void,
  ): void;
  /** Gives back segments whose frames all lie before `position`, which a durable checkpoint must have recorded. */
  recycleBefore(position: number): void;
  /** Resolves when the commit in flight and the background work have ended and the files are closed. */
  close(): Promise<void>;
}
