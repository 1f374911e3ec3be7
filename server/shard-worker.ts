/**
 * A shard's worker thread: its store, the data operations on it, and the line to its scan thread.
 *
 * Left to others: the thread's life and its listener (worker-thread.ts), the engine (storage/).
 */
import { dirname } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import { type DamagedBlock, openShardStore, type ShardStore, type StorageError } from '../storage/index.ts';
import { gatherBuffered } from './buffered-answer.ts';
import { Eraser } from './eraser.ts';
import { SHARD_TICK_MS } from './limits.ts';
import { nodeClock, nodeDisk, nodeRandom } from './node-environment.ts';
import { deleteOperation } from './operations/delete.ts';
import { eraseOperation } from './operations/erase.ts';
import { getOperation } from './operations/get.ts';
import { getMatrixOperation } from './operations/get-matrix.ts';
import { patchOperation } from './operations/patch.ts';
import { putOperation } from './operations/put.ts';
import { readPointOperation } from './operations/read-point.ts';
import { PatchMerges } from './patch-merges.ts';

import { PendingReads } from './pending-reads.ts';
import { PendingWrites } from './pending-writes.ts';
import { prefetchSlots } from './prefetch-slots.ts';
import { errorCodeOf, messageOf } from './server-error.ts';
import { ShardServices } from './shard-services.ts';
import type { PeerAnswer, PeerRequest } from './worker-messages.ts';
import { runWorker, type WorkerRoleParts, type WorkerThread } from './worker-thread.ts';

async function openShard(thread: WorkerThread): Promise<WorkerRoleParts> {
  const { data, log } = thread;
  const store = await openShardStore({
    directory: data.directory,
    shardIndex: data.shardIndex,
    shardCount: data.shardCount,
    disk: nodeDisk,
    clock: nodeClock,
    random: nodeRandom,
    schedule: setImmediate,
    delay: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    timerMicros: () => performance.now() * 1000,
    prefetchSlots: prefetchSlots(data.shardCount, process.env['UV_THREADPOOL_SIZE']),
    writeBufferBytes: data.writeBufferBytes,
    cacheBytes: data.cacheBytes,
    indexBytesMax: data.indexBytesMax,
    policies: thread.groups,
    compaction: data.compaction,
    onFatal: (error: StorageError): void => {
      log.fatal({ err: error }, 'the store has stopped');
      thread.fail(error);
    },
    onNotice: (text: string): void => log.warn(text),
    onDamage: (block: DamagedBlock): void => {
      const until = 'until `millrace repair` has run';
      log.error({ block }, `a block is damaged; what it held is neither served nor compacted ${until}`);
    },
    verifies: process.env['VERIFY'] === '1',
    onProgress: ({ phase, doneBytes, totalBytes }): void => thread.progress(phase, doneBytes, totalBytes),
  });
  const shard = new ShardServices({
    store,
    groups: thread.groups,
    ownership: () => thread.ownership(),
    shardIndex: data.shardIndex,
    shardCount: data.shardCount,
    hashSeedLo: data.identity.hashSeedLo,
    hashSeedHi: data.identity.hashSeedHi,
  });
  const reads = new PendingReads({
    shard,
    deadlines: thread.deadlines,
    nowMs: () => performance.now(),
    schedule: setImmediate,
  });
  const writes = new PendingWrites(store, thread.deadlines);
  answerPeer(store, data.peer);
  const ticks = setInterval(() => store.tick(), SHARD_TICK_MS);
  return {
    operations: [
      getOperation(shard, reads),
      getMatrixOperation(shard, reads),
      readPointOperation(shard),
      putOperation(shard, writes),
      patchOperation(shard, writes, new PatchMerges(thread.groups)),
      deleteOperation(shard, writes),
      eraseOperation(shard, new Eraser(store, dirname(data.directory))),
    ],
    status: () => ({ ...store.status(), writesInFlight: writes.inFlight, readsInFlight: reads.inFlight }),
    close: (): Promise<void> => {
      clearInterval(ticks);
      return store.close();
    },
  };
}

/** Resolves in a later turn of the event loop. */
function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Gives the scan thread what the write buffer holds of the partitions that it reads, and flushes when it is asked to. */
function answerPeer(store: ShardStore, peer: MessagePort): void {
  const refuse = (requestId: number, error: unknown): void => {
    const code = errorCodeOf(error);
    if (code === undefined) throw error;
    const answer: PeerAnswer = { requestId, code, message: messageOf(error) };
    peer.postMessage(answer);
  };
  peer.on('message', (request: PeerRequest) => {
    if ('damaged' in request) {
      store.reportDamage(request.damaged);
      return;
    }
    const { requestId } = request;
    if ('isFlush' in request) {
      const flushed = (): void => peer.postMessage({ requestId, flushNumber: 0, bytes: new Uint8Array(0) });
      store.flush().then(flushed, (error: unknown) => refuse(requestId, error));
      return;
    }
    try {
      if (request.readPointMicros !== null) store.assertReadPoint(request.readPointMicros);
      gatherBuffered(store, request.group, request.partitions, pause).then(
        ({ flushNumber, bytes }) => {
          const answer: PeerAnswer = { requestId, flushNumber, bytes };
          peer.postMessage(answer, [bytes.buffer as ArrayBuffer]);
        },
        (error: unknown) => refuse(requestId, error),
      );
    } catch (error) {
      refuse(requestId, error);
    }
  });
}

await runWorker(openShard);
