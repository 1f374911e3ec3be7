/**
 * A scan worker: one thread beside each shard's, which reads the same block store and serves scans on its own port.
 *
 * It runs at the lowest priority, so that lookups come first where cores are short. (On Linux a worker's priority is
 * its own, for there priorities belong to threads; elsewhere it may be refused, and scans then run like the rest.)
 *
 * Left to others: the thread's life (worker-thread.ts), the scans (scan-thread.ts), the other end of the line to the
 * shard (shard-worker.ts).
 */
import { constants, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { loadChecksum, openBlockStore, SnapshotReader } from '../storage/index.ts';
import { BackupService } from './backup-service.ts';
import { nodeDisk } from './node-environment.ts';
import { backupBlocksOperation, backupKeysOperation, backupOpenOperation } from './operations/backup.ts';
import { scanOperation } from './operations/scan.ts';
import { scanCancelOperation } from './operations/scan-cancel.ts';
import { scanCreditOperation } from './operations/scan-credit.ts';
import { SCAN_PREFETCH_SLOTS } from './scan-limits.ts';
import { ShardPeer } from './scan-peer.ts';
import { ScanThread } from './scan-thread.ts';
import type { MainMessage } from './worker-messages.ts';
import { runWorker, type WorkerRoleParts, type WorkerThread } from './worker-thread.ts';

async function openScans(thread: WorkerThread): Promise<WorkerRoleParts> {
  const { directory, shardIndex, shardCount, peer } = thread.data;
  lowerPriority(thread);
  await loadChecksum();
  const store = openBlockStore({
    disk: nodeDisk,
    directory: `${directory}/blocks`,
    prefetchSlots: SCAN_PREFETCH_SLOTS,
  });
  const shard = new ShardPeer(peer);
  const backups = new BackupService({ data: thread.data, store, disk: nodeDisk, peer: shard, after });
  const scans = new ScanThread({
    source: {
      reader: new SnapshotReader(store, shardCount),
      peer: shard,
      nowMicros: () => Date.now() * 1000,
      after,
    },
    groups: thread.groups,
    shardIndex,
    shardCount,
    isOwnedHere: (partition) => thread.ownership().isOwnedHere(partition),
    schedule: setImmediate,
    log: thread.log,
  });
  // A draining node lets scans go on for half of its time; those that remain are told, before connections are cut.
  parentPort?.on('message', (message: MainMessage) => {
    if (message.type === 'drain') after(message.timeoutMs / 2, () => scans.shutDown());
  });
  return {
    operations: [
      scanOperation(scans),
      scanCreditOperation(scans),
      scanCancelOperation(scans),
      backupOpenOperation(backups),
      backupKeysOperation(backups),
      backupBlocksOperation(backups),
    ],
    status: () => ({ ...scans.status(), backups: backups.count }),
    close: () => store.close(),
  };
}

/** Runs a function later, unless the answer is called before. Never keeps the thread alive. */
function after(delayMs: number, run: () => void): () => void {
  const timer = setTimeout(run, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
}

function lowerPriority(thread: WorkerThread): void {
  try {
    setPriority(0, constants.priority.PRIORITY_LOW);
  } catch (error) {
    thread.log.warn({ err: error }, 'scans run at the priority of the other threads');
  }
}

await runWorker(openScans);
