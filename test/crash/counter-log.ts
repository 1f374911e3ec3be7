/**
 * What the counters of a shard must be: each change that was answered, once. A counter whose change was not answered is as before it
 * or as after it, until the next life has sent the request again and was answered.
 */
import assert from 'node:assert/strict';
import { COUNTERS, type CounterRequest, type CounterState, changed, NO_COUNTER } from './life-counters.ts';

export class CounterLog {
  readonly versions: number[] = new Array<number>(COUNTERS).fill(0);
  nextSequence = 1;
  /** Changes that were answered. */
  changes = 0;
  /** Requests that were sent in one life and again in a later one. */
  repeats = 0;
  readonly #states: CounterState[] = new Array<CounterState>(COUNTERS).fill(NO_COUNTER);
  readonly #unanswered: Map<number, CounterRequest> = new Map();

  get unanswered(): CounterRequest[] {
    return [...this.#unanswered.values()];
  }

  send(request: CounterRequest): void {
    if (this.#unanswered.has(request.sequence)) this.repeats += 1;
    this.#unanswered.set(request.sequence, request);
    this.nextSequence = Math.max(this.nextSequence, request.sequence + 1);
    for (const { counter, version } of request.changes)
      this.versions[counter] = Math.max(this.versions[counter] as number, version);
  }

  /** Answered, each row as the request expects. */
  answer(sequence: number): void {
    const request = this.#unanswered.get(sequence);
    if (request === undefined) return;
    this.#unanswered.delete(sequence);
    for (const change of request.changes) {
      this.#states[change.counter] = changed(this.#states[change.counter] as CounterState, request, change);
      this.changes += 1;
    }
  }

  /** Throws when the counter cannot be as it was found. */
  found(counter: number, state: CounterState, where: string): void {
    const before = this.#states[counter] as CounterState;
    const possible = [before];
    for (const request of this.#unanswered.values()) {
      for (const change of request.changes)
        if (change.counter === counter) possible.push(changed(before, request, change));
    }
    assert.ok(
      possible.includes(state),
      `${where}: counter ${counter} is ${state}; it must be ${possible.join(' or ')}`,
    );
  }
}
