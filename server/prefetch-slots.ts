/**
 * How many of libuv's threads one shard may use to wait for the device: what the launcher (launch.cts) has asked for beside
 * those of commits, shared out.
 */
import { PREFETCH_SLOTS_MAX, PREFETCH_SLOTS_MIN } from '../storage/index.ts';
import { SCAN_PREFETCH_SLOTS } from './scan-limits.ts';

/** Threads a shard needs for commits: one in its journal, one in its block store. */
const COMMIT_THREADS_PER_SHARD = 2;
const OTHER_THREADS = 4;
/** What libuv begins with unless told otherwise. */
const THREADS_DEFAULT = 4;

/** `threadPoolSize` is the value of UV_THREADPOOL_SIZE. At least one: reads must go on, if slowly, in a pool that is too small. */
export function prefetchSlots(shardCount: number, threadPoolSize: string | undefined): number {
  const threads = Number(threadPoolSize ?? THREADS_DEFAULT) || THREADS_DEFAULT;
  const spare = threads - (COMMIT_THREADS_PER_SHARD + SCAN_PREFETCH_SLOTS) * shardCount - OTHER_THREADS;
  const wanted = Math.max(PREFETCH_SLOTS_MIN, Math.floor(PREFETCH_SLOTS_MAX / shardCount));
  return Math.max(1, Math.min(wanted, Math.floor(spare / shardCount)));
}
