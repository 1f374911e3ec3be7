/**
 * Backups as a scan thread serves them: one view of the store for each connection that takes one.
 *
 *   BACKUP_OPEN → flush by the shard → view of one snapshot → BACKUP_KEYS … → BACKUP_BLOCKS … → end of the connection
 *
 * I1  The view is of a state behind a flush that began when BACKUP_OPEN came: what was acknowledged before is in it.
 * I2  Each request does a bounded amount of work and has one answer; nothing is sent unasked. So memory is one answer, and
 *     the client's pace is the backup's.
 * I3  At most BACKUPS_PER_THREAD_MAX at once. A view that nobody has asked anything of for BACKUP_IDLE_TIMEOUT_MS is closed,
 *     since it may pin pages; the client is told, and opens another.
 */
import {
  type BackupOpened,
  ByteWriter,
  encodeBackupBlocksResponse,
  encodeBackupKeysResponse,
  encodeBackupOpenResponse,
  FRAME_BYTES_MAX,
  OPERATIONS,
} from '../protocol/index.ts';
import { BackupView, type BlockStore, type Disk } from '../storage/index.ts';
import { BACKUP_IDLE_TIMEOUT_MS, BACKUPS_PER_THREAD_MAX } from './limits.ts';
import type { SessionContext } from './operation.ts';
import type { ShardPeer } from './scan-peer.ts';
import { errorCodeOf, messageOf, ServerError } from './server-error.ts';
import type { WorkerData } from './worker-messages.ts';

const ANSWER_BYTES_FIRST = 1 << 20;

export interface BackupServiceOptions {
  readonly data: Pick<WorkerData, 'catalogPath' | 'identity' | 'shardIndex' | 'shardCount'>;
  readonly store: BlockStore;
  readonly disk: Pick<Disk, 'readFile'>;
  readonly peer: Pick<ShardPeer, 'flush'>;
  /** Runs a function later unless the answer is called before. */
  readonly after: (delayMs: number, run: () => void) => () => void;
}

interface Backup {
  view: BackupView | undefined;
  cancelIdle: () => void;
}

export class BackupService {
  readonly #options: BackupServiceOptions;
  /** By connection. */
  readonly #backups: Map<number, Backup> = new Map();
  #writer: ByteWriter = new ByteWriter(ANSWER_BYTES_FIRST, FRAME_BYTES_MAX);

  constructor(options: BackupServiceOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#backups.size;
  }

  /** Throws OVERLOADED. */
  open(context: SessionContext, correlationId: number, isPinned: boolean): void {
    const backup = this.#backupOf(context);
    this.#closeView(backup);
    context.acquire(0);
    this.#options.peer.flush((error) => {
      try {
        if (error !== null) throw error;
        if (context.isOpen) this.#opened(context, correlationId, backup, isPinned);
      } catch (caught) {
        const code = errorCodeOf(caught);
        if (code === undefined) throw caught;
        context.respondError(OPERATIONS.BACKUP_OPEN, correlationId, code, messageOf(caught));
      }
      context.release(0);
    });
  }

  keys(context: SessionContext, correlationId: number, countMax: number): void {
    const view = this.#viewOf(context);
    const words: number[] = [];
    const isLast = view.list(words, countMax);
    this.#answer(context, (writer) =>
      encodeBackupKeysResponse(writer, correlationId, Uint32Array.from(words), isLast),
    );
  }

  blocks(context: SessionContext, correlationId: number, words: Uint32Array): void {
    const view = this.#viewOf(context);
    const keys = Array.from({ length: words.length / 2 }, (_, index) => {
      return { keyHi: words[2 * index]!, keyLo: words[2 * index + 1]! };
    });
    context.acquire(0);
    // The device is read in other threads, several blocks at once: scans go on meanwhile.
    void this.#options.store.prefetch(keys).then(() => {
      this.#answer(context, (writer) =>
        encodeBackupBlocksResponse(writer, correlationId, keys.length, (index) =>
          view.read(keys[index]!.keyHi, keys[index]!.keyLo),
        ),
      );
      context.release(0);
    });
  }

  #opened(context: SessionContext, correlationId: number, backup: Backup, isPinned: boolean): void {
    const { store, disk, data } = this.#options;
    const { identity, shardIndex, shardCount } = data;
    const view = new BackupView(store, isPinned);
    backup.view = view;
    this.#watch(backup);
    // Read behind the snapshot: a group whose rows are in it is in the catalog, or was dropped since.
    const catalog = disk.readFile(data.catalogPath);
    if (catalog === undefined) throw new ServerError('INTERNAL', `${data.catalogPath} is gone`);
    const opened: BackupOpened = {
      nodeId: identity.nodeId,
      clusterId: identity.clusterId,
      generation: identity.generation,
      hashSeed: hex(identity.hashSeedHi) + hex(identity.hashSeedLo),
      shardIndex,
      shardCount,
      catalog: Buffer.from(catalog).toString('utf8'),
      meta: view.meta,
    };
    this.#answer(context, (writer) => encodeBackupOpenResponse(writer, correlationId, opened));
  }

  #backupOf(context: SessionContext): Backup {
    const known = this.#backups.get(context.id);
    if (known !== undefined) return known;
    if (this.#backups.size >= BACKUPS_PER_THREAD_MAX) {
      throw new ServerError('OVERLOADED', `${BACKUPS_PER_THREAD_MAX} backups already run on this shard`);
    }
    const backup: Backup = { view: undefined, cancelIdle: () => undefined };
    this.#backups.set(context.id, backup);
    context.onClose(() => {
      this.#closeView(backup);
      this.#backups.delete(context.id);
    });
    return backup;
  }

  #viewOf(context: SessionContext): BackupView {
    const backup = this.#backups.get(context.id);
    if (backup?.view === undefined) {
      throw new ServerError('CANCELLED', 'no backup is open on this connection, or nobody went on with it');
    }
    this.#watch(backup);
    return backup.view;
  }

  #watch(backup: Backup): void {
    backup.cancelIdle();
    backup.cancelIdle = this.#options.after(BACKUP_IDLE_TIMEOUT_MS, () => this.#closeView(backup));
  }

  #closeView(backup: Backup): void {
    backup.cancelIdle();
    backup.view?.close();
    backup.view = undefined;
  }

  #answer(context: SessionContext, encode: (writer: ByteWriter) => void): void {
    this.#writer.reset();
    encode(this.#writer);
    context.send(this.#writer.bytes.subarray(0, this.#writer.length));
  }
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0');
}
