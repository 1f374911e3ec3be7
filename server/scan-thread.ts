/**
 * The scans of one thread: who may begin, whose turn it is, and their end.
 *
 * I1  At most SCANS_PER_THREAD_MAX run, at most SCANS_PER_CONNECTION_MAX of one connection; one more is refused
 *     OVERLOADED.
 * I2  One turn of one scan is done in one turn of the event loop, in rotation among those that can do something, so
 *     sockets are served in between and scans share the thread alike. A scan that waits costs nothing.
 * I3  What the thread remembers of the store is given back when it has had no scan for SCAN_IDLE_TIMEOUT_MS.
 */
import type { ScanRequest } from '../protocol/index.ts';
import type { Group, GroupTable } from './group-table.ts';
import type { Logger } from './log.ts';
import type { SessionContext } from './operation.ts';
import { SCAN_IDLE_TIMEOUT_MS, SCANS_PER_CONNECTION_MAX, SCANS_PER_THREAD_MAX } from './scan-limits.ts';
import { planScan } from './scan-plan.ts';
import type { ScanSource } from './scan-rows.ts';
import { type ScanHost, ScanStream } from './scan-stream.ts';
import { ServerError } from './server-error.ts';
import type { WorkerStatus } from './worker-messages.ts';

export interface ScanThreadOptions {
  readonly source: ScanSource;
  readonly groups: GroupTable;
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly isOwnedHere: (partition: number) => boolean;
  /** Runs a function in a later turn of the event loop, after its I/O. */
  readonly schedule: (run: () => void) => void;
  readonly log: Logger;
}

export class ScanThread implements ScanHost {
  readonly source: ScanSource;
  readonly log: Logger;
  readonly #options: ScanThreadOptions;
  /** By connection, then by correlation id. */
  readonly #streams: Map<number, Map<number, ScanStream>> = new Map();
  #ready: Set<ScanStream> = new Set();
  #isScheduled = false;
  #isShuttingDown = false;
  #running = 0;
  #begun = 0;
  #rowsSent = 0;
  #bytesSent = 0;
  #cancelIdle: (() => void) | undefined;

  constructor(options: ScanThreadOptions) {
    this.#options = options;
    this.source = options.source;
    this.log = options.log;
  }

  /** Begins a scan. Throws what refuses it. */
  begin(context: SessionContext, correlationId: number, request: ScanRequest): void {
    const { groups, shardIndex, shardCount, isOwnedHere } = this.#options;
    const ofConnection = this.#streams.get(context.id);
    this.#admit(ofConnection, correlationId);
    const plan = planScan(request, groups.byName(request.group), shardIndex, shardCount, isOwnedHere);
    const stream = new ScanStream(context, correlationId, plan, this);
    if (ofConnection === undefined) this.#streams.set(context.id, new Map([[correlationId, stream]]));
    else ofConnection.set(correlationId, stream);
    this.#running += 1;
    this.#begun += 1;
    this.#cancelIdle?.();
    this.#cancelIdle = undefined;
    this.wake(stream);
  }

  /** Unknown scans are ignored: grants and cancellations cross the last frame on the wire. */
  grant(sessionId: number, correlationId: number, bytes: number): void {
    this.#streams.get(sessionId)?.get(correlationId)?.grant(bytes);
  }

  cancel(sessionId: number, correlationId: number): void {
    this.#streams.get(sessionId)?.get(correlationId)?.refuse('CANCELLED', 'the scan was cancelled');
  }

  /** Ends all scans, retryably, and begins no other. */
  shutDown(): void {
    this.#isShuttingDown = true;
    for (const ofConnection of [...this.#streams.values()]) {
      for (const stream of [...ofConnection.values()])
        stream.refuse('SHUTTING_DOWN', 'the server is shutting down');
    }
  }

  status(): WorkerStatus {
    return {
      scans: this.#running,
      scansBegun: this.#begun,
      scanRows: this.#rowsSent,
      scanBytes: this.#bytesSent,
      directoryBytes: this.source.reader.bytesHeld,
    };
  }

  requireGroup(groupId: number): Group {
    return this.#options.groups.byId(groupId);
  }

  wake(stream: ScanStream): void {
    this.#ready.add(stream);
    this.#schedule();
  }

  ended(stream: ScanStream): void {
    this.#ready.delete(stream);
    this.#rowsSent += stream.rowsSent;
    this.#bytesSent += stream.bytesSent;
    this.#running -= 1;
    const ofConnection = this.#streams.get(stream.sessionId);
    ofConnection?.delete(stream.correlationId);
    if (ofConnection?.size === 0) this.#streams.delete(stream.sessionId);
    if (this.#running === 0) {
      this.#cancelIdle = this.source.after(SCAN_IDLE_TIMEOUT_MS, () => this.source.reader.release());
    }
  }

  #admit(ofConnection: ReadonlyMap<number, ScanStream> | undefined, correlationId: number): void {
    if (this.#isShuttingDown) throw new ServerError('SHUTTING_DOWN', 'the server is shutting down');
    if (ofConnection?.has(correlationId)) {
      throw new ServerError(
        'MALFORMED_REQUEST',
        `a scan with correlation id ${correlationId} is running already`,
      );
    }
    if (ofConnection !== undefined && ofConnection.size >= SCANS_PER_CONNECTION_MAX) {
      throw new ServerError('OVERLOADED', `${SCANS_PER_CONNECTION_MAX} scans already run on this connection`);
    }
    if (this.#running >= SCANS_PER_THREAD_MAX) {
      throw new ServerError('OVERLOADED', `${SCANS_PER_THREAD_MAX} scans already run on this shard`);
    }
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#options.schedule(() => this.#turn());
  }

  /** One turn of the scan that has waited longest. */
  #turn(): void {
    this.#isScheduled = false;
    const [stream] = this.#ready;
    if (stream === undefined) return;
    this.#ready.delete(stream);
    if (stream.turn()) this.#ready.add(stream);
    if (this.#ready.size > 0) this.#schedule();
  }
}
