/** Requests of one session that await their answer, and the bytes they keep, against their two bounds. */
import { strict as assert } from 'node:assert';
import { SESSION_REQUEST_BYTES_MAX, SESSION_REQUESTS_MAX } from './limits.ts';

export class InFlight {
  requests = 0;
  #bytes = 0;

  acquire(bytes: number): void {
    this.requests += 1;
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.requests -= 1;
    this.#bytes -= bytes;
    assert(this.requests >= 0 && this.#bytes >= 0, 'a request is released once');
  }

  /** No further request may be taken. */
  get isFull(): boolean {
    return this.requests >= SESSION_REQUESTS_MAX || this.#bytes >= SESSION_REQUEST_BYTES_MAX;
  }

  /** Requests may be taken again: at half, so that a session at its bound does not toggle for every answer. */
  get hasRoom(): boolean {
    return this.requests <= SESSION_REQUESTS_MAX / 2 && this.#bytes <= SESSION_REQUEST_BYTES_MAX / 2;
  }
}
