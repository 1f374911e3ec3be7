/**
 * The client: the operations of a feature store as methods that take and give plain values.
 *
 *   connect ──▶ Dispatcher (map, links)      get ──▶ Coalescer ──▶ RowRead ─┐
 *                                            getMany ──▶ ManyRead ──────────┤
 *                                            getMatrix ──▶ MatrixRead ──────┼─▶ one request a shard
 *                                            put, patch ──▶ PutJob ─────────┤
 *                                            delete ──▶ DeleteOperation ────┘
 *                                            scan ──▶ ScanFeed ──▶ one connection a shard
 *
 * I1  Whatever goes wrong is a MillraceError, as a rejection, never as a throw of the call itself; only `scan` and
 *     `scanBytes`, which answer no promise, throw USAGE for options that make no sense.
 * I2  Groups may be named or passed as objects. A name is looked up once; when the server no longer knows what it was,
 *     it is looked up again, once.
 */
import {
  DTYPE_FLOAT32,
  DTYPE_FLOAT64,
  decodeAlterGroupResponse,
  decodeCreateGroupResponse,
  decodeDropGroupResponse,
  decodeGetGroupResponse,
  decodeListGroupsResponse,
  decodePingResponse,
  decodeStatusResponse,
  describeValue,
  type Erasure,
  type ErrorCodeName,
  encodeAlterGroupRequest,
  encodeCreateGroupRequest,
  encodeDropGroupRequest,
  encodeGetGroupRequest,
  encodeKeys,
  encodeListGroupsRequest,
  encodePingRequest,
  encodeStatusRequest,
  type GroupSchema,
  type NodeStatus,
  OPERATIONS,
} from '../protocol/index.ts';
import { BackupFeed } from './backup-feed.ts';
import type {
  CallOptions,
  ColumnRows,
  CreateGroupOptions,
  DeleteOptions,
  MatrixOf,
  MatrixOptions,
  PatchOptions,
  PutOptions,
  ReadOptions,
} from './call-options.ts';
import { Coalescer } from './coalescer.ts';
import { ClientContext } from './context.ts';
import { Dispatcher } from './dispatcher.ts';
import { eraseKey } from './erasure.ts';
import { MillraceError } from './errors.ts';
import type { FeatureMatrix, MatrixData } from './feature-matrix.ts';
import { Group } from './group.ts';
import { type GroupChangeInput, type GroupSpecInput, toGroupChange, toGroupSpec } from './group-spec.ts';
import { emptyMatrix, MatrixRead } from './matrix-read.ts';
import { type Address, type ConnectOptions, parseAddress, positiveMs, resolveOptions } from './options.ts';
import { promised, settle } from './promised.ts';
import { PutJob, settleWrite } from './put-job.ts';
import { columnSource, eventTimeOf, patchSource, type RowSource, rowSource } from './row-chunk.ts';
import { ManyRead, VersionedRead, type VersionedRow } from './row-read.ts';
import type {
  CompactGroupSpec,
  EntityKey,
  EntityKeyOf,
  PatchRowOf,
  PutRow,
  PutRowOf,
  ReadRowOf,
  Row,
} from './row-types.ts';
import { Scan, type ScanOptions, type ScanPart, scanParts, toScanRequest } from './scan.ts';
import { ScanFeed } from './scan-feed.ts';
import { patchConditions, writeConditions } from './write-conditions.ts';
import { DeleteOperation, PatchOperation, PutOperation } from './write-operation.ts';
import { type WriteResult, WriteTally } from './write-result.ts';

type AnyGroup = Group<unknown, unknown, unknown>;

/** What a call fails with whose group was replaced, before anything of it was done. */
const REPLACED_CODES: ReadonlySet<ErrorCodeName> = new Set(['GROUP_NOT_FOUND', 'SCHEMA_VERSION_UNKNOWN']);

/** And one that goes by a schema which may no longer be the group's. */
const STALE_CODES: ReadonlySet<ErrorCodeName> = new Set([...REPLACED_CODES, 'FEATURE_NOT_FOUND']);

/** And an unconditional put, whose rows may name features added since. Rows that were sent before are sent again as they were. */
const STALE_PUT_CODES: ReadonlySet<ErrorCodeName> = new Set([...STALE_CODES, 'ROW_INVALID']);

export class Millrace {
  private readonly dispatcher: Dispatcher;
  private readonly groupsByName: Map<string, Group> = new Map();
  private readonly coalescers: WeakMap<AnyGroup, Coalescer> = new WeakMap();

  /**
   * Connects to the cluster that has a listener at `address` ('host:port', or { host, port }).
   * Rejects with CONNECT_FAILED, UNSUPPORTED_VERSION, or USAGE for what is no address.
   */
  static async connect(address: string | Address, options: ConnectOptions = {}): Promise<Millrace> {
    const context = new ClientContext(resolveOptions(options));
    return new this(await Dispatcher.open(parseAddress(address), context));
  }

  protected constructor(dispatcher: Dispatcher) {
    this.dispatcher = dispatcher;
  }

  /**
   * Creates a feature group and answers when every shard of the node knows it. With `ifNotExists`, a group of the same
   * declaration is answered as it is. Rejects with USAGE, SCHEMA_INVALID, GROUP_EXISTS, LIMIT_EXCEEDED.
   */
  createGroup<const S extends CompactGroupSpec>(
    spec: S,
    options?: CreateGroupOptions,
  ): Promise<Group<ReadRowOf<S>, PutRowOf<S>, EntityKeyOf<S>>>;
  createGroup(spec: GroupSpecInput, options?: CreateGroupOptions): Promise<Group>;
  async createGroup(spec: GroupSpecInput, options: CreateGroupOptions = {}): Promise<AnyGroup> {
    const ifNotExists = options.ifNotExists ?? false;
    if (typeof spec !== 'object' || spec === null) {
      throw usage('createGroup takes a declaration: { name, key, features }');
    }
    const request = { spec: settle(() => toGroupSpec(spec)), ifNotExists };
    const schema = await this.dispatcher.control(
      ifNotExists ? 'read' : 'once',
      OPERATIONS.CREATE_GROUP,
      (writer, header) => encodeCreateGroupRequest(writer, header, request),
      decodeCreateGroupResponse,
      checkedTimeout(options),
    );
    return this.remember(schema);
  }

  /** The group of this name. Rejects with GROUP_NOT_FOUND. */
  async group(name: string): Promise<Group> {
    const schema = await this.dispatcher.control(
      'read',
      OPERATIONS.GET_GROUP,
      (writer, header) => encodeGetGroupRequest(writer, header, name),
      decodeGetGroupResponse,
    );
    return this.remember(schema);
  }

  /** Every group, by name. */
  async groups(): Promise<Group[]> {
    const schemas = await this.dispatcher.control(
      'read',
      OPERATIONS.LIST_GROUPS,
      encodeListGroupsRequest,
      decodeListGroupsResponse,
    );
    return schemas.map((schema) => this.remember(schema));
  }

  /**
   * Changes a group while its rows are there: adds features (rows that say nothing of them read as their default, or
   * null), drops features, or sets how long rows and history stay. Answers the group with its new schema when every
   * shard of the node knows it. Groups obtained before go on as they are. A feature's type never changes.
   * Rejects with GROUP_NOT_FOUND, FEATURE_NOT_FOUND, SCHEMA_INVALID, LIMIT_EXCEEDED.
   */
  async alterGroup(
    group: string | AnyGroup,
    change: GroupChangeInput,
    options: CallOptions = {},
  ): Promise<Group> {
    const name = typeof group === 'string' ? group : group.name;
    const request = { name, change: settle(() => toGroupChange(change)) };
    const schema = await this.dispatcher.control(
      'once',
      OPERATIONS.ALTER_GROUP,
      (writer, header) => encodeAlterGroupRequest(writer, header, request),
      decodeAlterGroupResponse,
      checkedTimeout(options),
    );
    return this.remember(schema);
  }

  /** Removes a group: its rows are invisible at once. Rejects with GROUP_NOT_FOUND. */
  async dropGroup(group: string | AnyGroup): Promise<void> {
    const name = typeof group === 'string' ? group : group.name;
    this.groupsByName.delete(name);
    await this.dispatcher.control(
      'once',
      OPERATIONS.DROP_GROUP,
      (writer, header) => encodeDropGroupRequest(writer, header, name),
      decodeDropGroupResponse,
    );
  }

  /** How the node that answers is: its version, and figures of each of its shards. */
  status(): Promise<NodeStatus> {
    return this.dispatcher.control('read', OPERATIONS.STATUS, encodeStatusRequest, decodeStatusResponse);
  }

  /** Shards of the node: each is backed up by itself. */
  get shardCount(): number {
    return this.dispatcher.map.shards.length;
  }

  /** A connection that reads shard `shard`'s store as it is, for backups. Close it. */
  openBackup(shard: number): Promise<BackupFeed> {
    return BackupFeed.connect(this.dispatcher, shard);
  }

  /**
   * Removes every version of one entity that was written so far from all files of its node, and answers what was searched to
   * prove it. May take minutes. Backups are not reached. Rejects with OVERLOADED: ask again.
   */
  async erase(group: string, key: EntityKey, options: CallOptions = {}): Promise<Erasure> {
    const { schema } = await this.group(group);
    return eraseKey(this.dispatcher, schema, key, checkedTimeout(options));
  }

  /** The time to a node and back, in ms. */
  async ping(): Promise<number> {
    const startMs = performance.now();
    await this.dispatcher.control('read', OPERATIONS.PING, encodePingRequest, decodePingResponse);
    return performance.now() - startMs;
  }

  /**
   * The latest row of one entity, or null when it has none (never put, deleted, or past its TTL). `get` calls of one
   * turn of the event loop on the same group travel together; one with a `timeoutMs` of its own travels alone.
   * Rejects with KEY_INVALID, FEATURE_NOT_FOUND, GROUP_NOT_FOUND, TIMEOUT and the connection's errors.
   */
  get<R, P, K>(group: Group<R, P, K>, key: NoInfer<K>, options?: CallOptions): Promise<R | null>;
  get<R, P, K>(group: Group<R, P, K>, key: NoInfer<K>, options: ReadOptions): Promise<Partial<R> | null>;
  get(group: string, key: EntityKey, options?: ReadOptions): Promise<Row | null>;
  get(group: AnyGroup | string, key: EntityKey, options: ReadOptions = {}): Promise<unknown> {
    if (options.timeoutMs !== undefined) {
      return this.on(group, (known) => this.readMany(known, [key], options)).then((rows) => rows[0]);
    }
    return this.on(group, (known) =>
      promised((resolve, reject) => {
        this.dispatcher.assertOpen();
        this.coalescerOf(known).add(key, { reader: known.reader(options.features), resolve, reject });
      }),
    );
  }

  /** The latest rows of many entities, in the keys' order, null where there is none. Rejects as `get` does. */
  getMany<R, P, K>(
    group: Group<R, P, K>,
    keys: ArrayLike<NoInfer<K>>,
    options?: CallOptions,
  ): Promise<(R | null)[]>;
  getMany<R, P, K>(
    group: Group<R, P, K>,
    keys: ArrayLike<NoInfer<K>>,
    options: ReadOptions,
  ): Promise<(Partial<R> | null)[]>;
  getMany(group: string, keys: ArrayLike<EntityKey>, options?: ReadOptions): Promise<(Row | null)[]>;
  getMany(group: AnyGroup | string, keys: ArrayLike<EntityKey>, options: ReadOptions = {}): Promise<unknown> {
    return this.on(group, (known) => this.readMany(known, keys, options));
  }

  /**
   * The same with each row's version, for a write that is to happen only when nobody else wrote meanwhile:
   *
   *     const [{ row, version }] = await db.getVersioned(account, [id]);
   *     await db.put(account, [{ ...row, balance: row.balance - 5 }], { ifVersion: version });
   *
   * The version of a row that is not there is 0, which `ifVersion` takes for just that.
   */
  getVersioned<R, P, K>(
    group: Group<R, P, K>,
    keys: ArrayLike<NoInfer<K>>,
    options?: CallOptions,
  ): Promise<VersionedRow<R>[]>;
  getVersioned<R, P, K>(
    group: Group<R, P, K>,
    keys: ArrayLike<NoInfer<K>>,
    options: ReadOptions,
  ): Promise<VersionedRow<Partial<R>>[]>;
  getVersioned(
    group: string,
    keys: ArrayLike<EntityKey>,
    options?: ReadOptions,
  ): Promise<VersionedRow<Row>[]>;
  getVersioned(
    group: AnyGroup | string,
    keys: ArrayLike<EntityKey>,
    options: ReadOptions = {},
  ): Promise<unknown> {
    return this.on(group, (known) => this.readWhole(VersionedRead, known, keys, options));
  }

  /**
   * Numeric features of many entities as one row-major matrix of keys.length × columns, row i for key i; NaN where there
   * is no value. Rejects as `get` does, and with TYPE_MISMATCH for features that are no numbers.
   */
  getMatrix<R, P, K, const O extends MatrixOptions>(
    group: Group<R, P, K>,
    keys: ArrayLike<NoInfer<K>>,
    options: O,
  ): Promise<MatrixOf<O>>;
  getMatrix<const O extends MatrixOptions>(
    group: string,
    keys: ArrayLike<EntityKey>,
    options: O,
  ): Promise<MatrixOf<O>>;
  getMatrix(
    group: AnyGroup | string,
    keys: ArrayLike<EntityKey>,
    options: MatrixOptions,
  ): Promise<FeatureMatrix<MatrixData>> {
    return this.on(group, (known) =>
      promised((resolve, reject) => {
        const { dispatcher } = this;
        dispatcher.assertOpen();
        checkKeys(keys);
        const projection = known.projection(checkedFeatures(options));
        const dtype = options.dtype === 'float64' ? DTYPE_FLOAT64 : DTYPE_FLOAT32;
        const eventTimes = options.eventTimes ?? false;
        if (keys.length === 0) return resolve(emptyMatrix(0, projection.columnNames, dtype, eventTimes));
        const deadlineMs = dispatcher.deadline(checkedTimeout(options));
        const batch = encodeKeys(known.schema.key, keys);
        new MatrixRead(
          dispatcher,
          known,
          deadlineMs,
          batch,
          projection,
          dtype,
          eventTimes,
          resolve,
          reject,
        ).start();
      }),
    );
  }

  /**
   * Writes rows: objects (or columns) with the key columns, the event time and the features by name. Answers when all are
   * durable. A row without an event time gets the current one; an absent feature has its default or is null. Any number of rows may be
   * given; more than one request's worth (4,096 rows, or 1 MiB) goes out as several, which are not atomic together.
   *
   * A row may be refused while the others are written: too late, in the future, of another version than `ifVersion`. A put
   * of one row then rejects with the code; one of several answers, and `refusals` names the rows.
   *
   * A put is repeated after a lost connection only with `idempotent` or `ifVersion`, or when the client was opened with
   * `retryWrites`; that is harmless to lookups when rows name their event time: a repeated (key, event time) holds the same
   * values.
   *
   * Rejects with KEY_INVALID, TYPE_MISMATCH, ROW_INVALID, ROW_TOO_LARGE, EVENT_TIME_INVALID, STORAGE_FULL, TIMEOUT and the
   * connection's errors; the message names the row. When `indeterminate` is set some rows may have been written.
   */
  put<R, P, K>(
    group: Group<R, P, K>,
    rows: readonly NoInfer<P>[] | ColumnRows,
    options?: PutOptions,
  ): Promise<WriteResult>;
  put(group: string, rows: readonly PutRow[] | ColumnRows, options?: PutOptions): Promise<WriteResult>;
  put(
    group: AnyGroup | string,
    rows: readonly unknown[] | ColumnRows,
    options: PutOptions = {},
  ): Promise<WriteResult> {
    const nowMicros = Date.now() * 1000;
    return this.on(
      group,
      (known) =>
        promised((resolve, reject) => {
          const source = toRowSource(known, rows, nowMicros);
          const timeoutMs = checkedTimeout(options);
          const job = new PutJob(
            this.dispatcher,
            known,
            PutOperation,
            source,
            writeConditions(options, source.count),
            options.lsns ?? false,
            timeoutMs,
            resolve,
            reject,
          );
          job.advance();
        }),
      options.ifVersion === undefined ? STALE_PUT_CODES : STALE_CODES,
    );
  }

  /**
   * Changes some features of rows and leaves the others as they are:
   *
   *     db.patch(user, [{ id: 7, clicks: add(1), last_page: '/cart', recent: append(item, { max: 50 }) }])
   *
   * A value by itself is set, null sets null, what is absent stays. The server merges, so patches of many clients add up
   * exactly; each is applied once, however often its connection is lost. A row that is not there is made.
   *
   * When no row of the call names an event time, each gets the current one or keeps its own where that is later. A row that
   * names one is refused (LATE_PATCH) when there is a newer event. Refusals of single rows are answered as `put`'s are;
   * PATCH_INVALID among them is an `add` that would leave its integer's range.
   *
   * Rejects as `put` does, and with PATCH_INVALID for a step that its feature does not take.
   */
  patch<R, P, K>(
    group: Group<R, P, K>,
    rows: readonly PatchRowOf<NoInfer<P>>[],
    options?: PatchOptions,
  ): Promise<WriteResult>;
  patch(group: string, rows: readonly PutRow[], options?: PatchOptions): Promise<WriteResult>;
  patch(
    group: AnyGroup | string,
    rows: readonly unknown[],
    options: PatchOptions = {},
  ): Promise<WriteResult> {
    const nowMicros = Date.now() * 1000;
    return this.on(
      group,
      (known) =>
        promised((resolve, reject) => {
          if (!Array.isArray(rows))
            throw new MillraceError('ROW_INVALID', 'patch takes an array of row objects');
          const { eventTimeName } = known.schema;
          const isTimeFloor = rows.every((row) => (row?.[eventTimeName] ?? null) === null);
          const job = new PutJob(
            this.dispatcher,
            known,
            PatchOperation,
            patchSource(known, rows, nowMicros),
            patchConditions(options, rows.length, isTimeFloor),
            options.lsns ?? false,
            checkedTimeout(options),
            resolve,
            reject,
          );
          job.advance();
        }),
      REPLACED_CODES,
    );
  }

  /** Deletes the rows of these entities as of one event time. Rejects as `put` does. */
  delete<R, P, K>(
    group: Group<R, P, K>,
    keys: ArrayLike<NoInfer<K>>,
    options?: DeleteOptions,
  ): Promise<WriteResult>;
  delete(group: string, keys: ArrayLike<EntityKey>, options?: DeleteOptions): Promise<WriteResult>;
  delete(
    group: AnyGroup | string,
    keys: ArrayLike<EntityKey>,
    options: DeleteOptions = {},
  ): Promise<WriteResult> {
    const nowMicros = Date.now() * 1000;
    return this.on(group, (known) =>
      promised((resolve, reject) => {
        this.dispatcher.assertOpen();
        checkKeys(keys);
        const tally = new WriteTally(keys.length, options.lsns ?? false);
        if (keys.length === 0) return resolve(tally.result());
        const eventTime = eventTimeOf('eventTime', options.eventTime, nowMicros);
        const eventTimes = new Float64Array(keys.length).fill(eventTime);
        const deadlineMs = this.dispatcher.deadline(checkedTimeout(options));
        const batch = encodeKeys(known.schema.key, keys);
        const conditions = writeConditions(options, keys.length);
        const done = (error: MillraceError | null): void =>
          error === null ? settleWrite(tally, resolve, reject) : reject(error);
        new DeleteOperation(
          this.dispatcher,
          deadlineMs,
          known,
          batch,
          eventTimes,
          conditions,
          tally,
          done,
        ).start();
      }),
    );
  }

  /**
   * Closes a read point on every shard: a commit time, in µs, that holds everything acknowledged before the call, and
   * that nothing written later comes below. A scan that names it gives the same whenever it is repeated.
   */
  readPoint(options: CallOptions = {}): Promise<number> {
    return promised((resolve, reject) => {
      this.dispatcher.readPoint(checkedTimeout(options)).then(resolve, reject);
    });
  }

  /**
   * Every live row, as Arrow record batches from all shards at once: its latest version, or with `asOf` the one of that
   * moment. Iterate it with `for await`; leaving the loop ends the scan. Iteration rejects with GROUP_NOT_FOUND,
   * FEATURE_NOT_FOUND, HISTORY_EXPIRED, READ_POINT_INVALID, CANCELLED (the signal), CONNECTION_LOST (begin again: a scan
   * is not resumed) and TIMEOUT. Throws USAGE.
   */
  scan(group: string | AnyGroup, options: ScanOptions = {}): Scan {
    return new Scan(this.feedOf(group, options));
  }

  /** The same as the bytes of one Arrow IPC stream, part by part, for whoever writes or forwards them undecoded. */
  scanBytes(group: string | AnyGroup, options: ScanOptions = {}): AsyncGenerator<ScanPart, void, undefined> {
    return scanParts(this.feedOf(group, options));
  }

  /**
   * Refuses new calls (CLIENT_CLOSED), ends scans, waits up to `closeTimeoutMs` for the answers under way, rejects those
   * that did not come, and closes every connection.
   */
  close(): Promise<void> {
    return this.dispatcher.close();
  }

  private feedOf(group: string | AnyGroup, options: ScanOptions): ScanFeed {
    const name = typeof group === 'string' ? group : group.name;
    return new ScanFeed(
      this.dispatcher,
      toScanRequest(name, options),
      options.signal,
      async (asked, shardCount) => {
        const isOpen = asked.asOf !== undefined && asked.readPoint === undefined;
        const request = isOpen ? { ...asked, readPoint: await this.readPoint() } : asked;
        // One shard alone may answer in terms of the newest schema; several must agree on which that is.
        if (typeof group === 'string' && shardCount < 2) return request;
        const { schema } = typeof group === 'string' ? await this.group(group) : group;
        return { ...request, schemaVersion: schema.version };
      },
    );
  }

  private readMany(
    group: AnyGroup,
    keys: ArrayLike<EntityKey>,
    options: ReadOptions,
  ): Promise<(unknown | null)[]> {
    return this.readWhole(ManyRead, group, keys, options);
  }

  private readWhole(
    Read: typeof ManyRead | typeof VersionedRead,
    group: AnyGroup,
    keys: ArrayLike<EntityKey>,
    options: ReadOptions,
  ): Promise<unknown[]> {
    return promised((resolve, reject) => {
      this.dispatcher.assertOpen();
      checkKeys(keys);
      const reader = group.reader(options.features);
      if (keys.length === 0) return resolve([]);
      const deadlineMs = this.dispatcher.deadline(checkedTimeout(options));
      const batch = encodeKeys(group.schema.key, keys);
      new Read<unknown>(this.dispatcher, group, deadlineMs, batch, reader, resolve, reject).start();
    });
  }

  /**
   * Runs with the group that is meant. A call that fails because the group may have been changed or replaced meanwhile
   * is run again, once, when a look at the group says that it was: one passed by name is then the group as it is now;
   * one passed as an object stays the version it is, and has learnt to read newer rows.
   */
  private on<T>(
    group: AnyGroup | string,
    run: (group: AnyGroup) => Promise<T>,
    staleCodes: ReadonlySet<ErrorCodeName> = STALE_CODES,
  ): Promise<T> {
    if (typeof group !== 'string') {
      return run(group).catch(async (error: MillraceError) => {
        if (error.code !== 'SCHEMA_VERSION_UNKNOWN') throw error;
        const { schema } = await this.group(group.name);
        if (!group.learn(schema)) throw error;
        return run(group);
      });
    }
    const known = this.groupsByName.get(group);
    if (known === undefined) return this.group(group).then(run);
    return run(known).catch(async (error: MillraceError) => {
      if (!staleCodes.has(error.code)) throw error;
      const found = await this.group(group);
      if (found === known) throw error;
      return run(found);
    });
  }

  private remember(schema: GroupSchema): Group {
    const known = this.groupsByName.get(schema.name);
    if (known?.schema.id === schema.id && known.schema.version === schema.version) return known;
    const group = new Group(schema);
    this.groupsByName.set(schema.name, group);
    return group;
  }

  private coalescerOf(group: AnyGroup): Coalescer {
    const known = this.coalescers.get(group);
    if (known !== undefined) return known;
    const coalescer = new Coalescer(this.dispatcher, group);
    this.coalescers.set(group, coalescer);
    return coalescer;
  }
}

function checkedTimeout(options: CallOptions): number | undefined {
  return options.timeoutMs === undefined ? undefined : positiveMs('timeoutMs', options.timeoutMs, 0);
}

/** A text has a length too, but its letters are no keys. */
function checkKeys(keys: unknown): void {
  const { length } = (typeof keys === 'object' && keys !== null ? keys : {}) as { length?: unknown };
  if (typeof length !== 'number') throw usage(`keys is ${describeValue(keys)}; an array of keys is needed`);
}

function checkedFeatures(options: MatrixOptions | undefined): readonly string[] {
  const features: unknown = options?.features;
  if (Array.isArray(features)) return features;
  throw usage('getMatrix needs { features }, an array of the names that become its columns');
}

function usage(message: string): MillraceError {
  return new MillraceError('USAGE', message);
}

function toRowSource(group: AnyGroup, rows: readonly unknown[] | ColumnRows, nowMicros: number): RowSource {
  if (Array.isArray(rows)) return rowSource(group, rows, nowMicros);
  const { columns } = (rows ?? {}) as Partial<ColumnRows>;
  if (typeof columns === 'object' && columns !== null) return columnSource(group, columns, nowMicros);
  throw new MillraceError(
    'ROW_INVALID',
    'put takes an array of row objects, or { columns } with arrays by name',
  );
}
