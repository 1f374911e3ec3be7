/**
 * A client's way to one listener, for as long as the client lives: it holds the connection, dials a new one when that
 * is lost, and keeps what waits for it meanwhile.
 *
 *   idle ── a call ──▶ dialling ──▶ ready ── lost ──▶ idle (no call waits) or dialling (after a pause)
 *                         └── failed ──▶ pause, twice as long each time ──▶ dialling, while calls wait
 *
 * I1  Calls are sent in the order they came. At most WAITING_MAX wait; beyond, they are refused (OVERLOADED).
 * I2  A call that waited was never sent: when its time is over it fails with a code that is not indeterminate.
 * I3  A failure that will not pass by itself (another protocol version) fails all that wait, at once.
 */
import type { Call } from './call.ts';
import type { Connection, ConnectionOwner } from './connection.ts';
import type { ClientContext } from './context.ts';
import { MillraceError, toMillraceError } from './errors.ts';
import { type Greeted, openConnection } from './handshake.ts';
import { RECONNECT_DELAY_MS_MAX, RECONNECT_DELAY_MS_MIN, WAITING_MAX } from './limits.ts';
import type { Address } from './options.ts';

/** Checks a fresh connection before it is used; a throw refuses it. */
export type ConnectionCheck = (greeted: Greeted, isFirst: boolean) => void;

export class Link implements ConnectionOwner {
  readonly address: Address;
  private readonly context: ClientContext;
  private readonly check: ConnectionCheck;
  private connection: Connection | null = null;
  private wasConnected = false;
  private isDialling = false;
  private isClosed = false;
  private pauseTimer: NodeJS.Timeout | null = null;
  private pauseMs = 0;
  private lastFailure: MillraceError | null = null;
  /** Waiting calls are waiting[waitingFrom..]; the front is cut off in large pieces. */
  private waiting: Call[] = [];
  private waitingFrom = 0;

  constructor(address: Address, context: ClientContext, check: ConnectionCheck) {
    this.address = address;
    this.context = context;
    this.check = check;
  }

  get isReady(): boolean {
    return this.connection !== null;
  }

  /** Sends the call now when it can be sent, else when its turn comes; every way to fail goes through `call.fail`. */
  submit(call: Call): void {
    const connection = this.connection;
    if (this.isClosed) {
      call.fail(new MillraceError('CLIENT_CLOSED', 'the client was closed'));
    } else if (connection?.hasRoom && this.waitingFrom === this.waiting.length) {
      connection.send(call);
    } else if (this.waiting.length - this.waitingFrom >= WAITING_MAX) {
      call.fail(new MillraceError('OVERLOADED', `${WAITING_MAX} requests wait in this client already`));
    } else {
      this.waiting.push(call);
      if (connection === null) this.dial();
    }
  }

  /** Takes over a connection that somebody else dialled, in place of the first dial. */
  adopt(connection: Connection): void {
    this.wasConnected = true;
    this.use(connection);
  }

  /** Fails what is in flight or waits past its deadline. */
  expire(nowMs: number): void {
    this.connection?.expire(nowMs);
    if (this.waitingFrom === this.waiting.length) return;
    const waiting = this.waiting.slice(this.waitingFrom);
    this.waiting = [];
    this.waitingFrom = 0;
    const late: Call[] = [];
    for (const call of waiting) (call.deadlineMs > nowMs ? this.waiting : late).push(call);
    for (const call of late) call.fail(this.lateError());
  }

  /** Ends the link; everything in flight or waiting fails with `error`. */
  close(error: MillraceError): void {
    this.isClosed = true;
    if (this.pauseTimer !== null) clearTimeout(this.pauseTimer);
    this.pauseTimer = null;
    this.connection?.close(error);
    this.failWaiting(error);
  }

  onRoom(): void {
    const connection = this.connection;
    if (connection === null || this.waitingFrom === this.waiting.length) return;
    while (this.waitingFrom < this.waiting.length && connection.hasRoom) {
      const call = this.waiting[this.waitingFrom]!;
      this.waitingFrom += 1;
      connection.send(call);
    }
    if (this.waitingFrom === this.waiting.length || this.waitingFrom > WAITING_MAX) {
      this.waiting.splice(0, this.waitingFrom);
      this.waitingFrom = 0;
    }
  }

  onLost(error: MillraceError): void {
    this.connection = null;
    this.lastFailure = error;
    this.redial();
  }

  private dial(): void {
    if (this.isDialling || this.isClosed || this.pauseTimer !== null || this.connection !== null) return;
    this.isDialling = true;
    openConnection(this.address, this.context).then(
      (greeted) => this.dialled(greeted),
      (error: unknown) => this.dialFailed(toMillraceError(error)),
    );
  }

  private dialled(greeted: Greeted): void {
    const { connection } = greeted;
    const refusal = this.refusalOf(greeted);
    if (refusal !== null) {
      connection.close(refusal);
      this.dialFailed(refusal);
      return;
    }
    // Only now: the check may have submitted calls, which must not dial a second time.
    this.isDialling = false;
    this.wasConnected = true;
    this.use(connection);
  }

  /** Why a fresh connection is not used, or null. */
  private refusalOf(greeted: Greeted): MillraceError | null {
    if (this.isClosed) return new MillraceError('CLIENT_CLOSED', 'the client was closed');
    try {
      this.check(greeted, !this.wasConnected);
      return null;
    } catch (error) {
      return toMillraceError(error);
    }
  }

  private use(connection: Connection): void {
    this.pauseMs = 0;
    this.lastFailure = null;
    this.connection = connection;
    connection.owner = this;
    if (connection.isOpen) this.onRoom();
    else this.onLost(new MillraceError('CONNECTION_LOST', 'the connection was lost at once'));
  }

  private dialFailed(error: MillraceError): void {
    this.isDialling = false;
    this.lastFailure = error;
    if (error.retryable) this.redial();
    else this.failWaiting(error);
  }

  /** Dials again after a pause, as long as somebody waits; otherwise the next call dials. */
  private redial(): void {
    if (this.isClosed || this.pauseTimer !== null) return;
    this.pauseMs = Math.min(Math.max(this.pauseMs * 2, RECONNECT_DELAY_MS_MIN), RECONNECT_DELAY_MS_MAX);
    const delayMs = this.pauseMs * (0.5 + Math.random() / 2);
    this.pauseTimer = setTimeout(() => {
      this.pauseTimer = null;
      if (this.waitingFrom < this.waiting.length) this.dial();
    }, delayMs);
  }

  private failWaiting(error: MillraceError): void {
    const waiting = this.waiting.slice(this.waitingFrom);
    this.waiting = [];
    this.waitingFrom = 0;
    for (const call of waiting) call.fail(error);
  }

  private lateError(): MillraceError {
    const { host, port } = this.address;
    if (this.lastFailure === null) {
      return new MillraceError('TIMEOUT', `no room on the connection to ${host}:${port} in time`, {
        indeterminate: false,
      });
    }
    return new MillraceError('CONNECT_FAILED', this.lastFailure.message, { cause: this.lastFailure });
  }
}
