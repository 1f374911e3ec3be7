/**
 * What a memory limit leaves for the index: the arithmetic of `--memory-limit`.
 *
 *   limit = node + shards × (threads and steps + 1.5 × write buffer + index) + cache
 *
 * I1  What is not the index has a bound of its own, so new keys are the only thing that a limit has to refuse; storage does
 *     (memory-budget.ts).
 * I2  A limit that leaves no index worth having is refused at the start, with the least one that does.
 *
 * Pages of the files that the kernel keeps mapped are not counted: it takes them back when memory is short.
 */
import {
  CACHE_PART,
  INDEX_BYTES_LEAST,
  MEMORY_NODE_BYTES,
  MEMORY_SHARD_BYTES,
  WRITE_BUFFER_OVERRUN,
} from './limits.ts';
import { ServerError } from './server-error.ts';

export interface MemoryRequest {
  /** 0: no limit. */
  readonly memoryLimitBytes: number;
  readonly machineBytes: number;
  readonly shardCount: number;
  /** Of each shard. */
  readonly writeBufferBytes: number;
  /** Of all shards; undefined: a quarter of the limit, or of the machine. */
  readonly cacheBytes: number | undefined;
}

export interface MemoryPlan {
  /** Of all shards. */
  readonly cacheBytes: number;
  /** Of each shard; 0: no limit. */
  readonly indexBytesMax: number;
}

/** Throws CONFIG_INVALID for a limit that is too small. */
export function planMemory(request: MemoryRequest): MemoryPlan {
  const { memoryLimitBytes, machineBytes, shardCount, writeBufferBytes } = request;
  if (memoryLimitBytes === 0) {
    return { cacheBytes: request.cacheBytes ?? Math.floor(machineBytes / CACHE_PART), indexBytesMax: 0 };
  }
  const cacheBytes = request.cacheBytes ?? Math.floor(memoryLimitBytes / CACHE_PART);
  const perShard = MEMORY_SHARD_BYTES + WRITE_BUFFER_OVERRUN * writeBufferBytes;
  const indexBytes = memoryLimitBytes - MEMORY_NODE_BYTES - shardCount * perShard - cacheBytes;
  const indexBytesMax = Math.floor(indexBytes / shardCount);
  if (indexBytesMax >= INDEX_BYTES_LEAST) return { cacheBytes, indexBytesMax };
  const beside = MEMORY_NODE_BYTES + shardCount * (perShard + INDEX_BYTES_LEAST);
  const least =
    request.cacheBytes === undefined
      ? Math.ceil((beside * CACHE_PART) / (CACHE_PART - 1))
      : beside + request.cacheBytes;
  throw new ServerError(
    'CONFIG_INVALID',
    `a memory limit of ${memoryLimitBytes} bytes is too small for ${shardCount} shards with write buffers of ${writeBufferBytes} ` +
      `and a cache of ${cacheBytes} bytes: ${least} (${Math.ceil(least / 2 ** 20)}MiB) is the least; fewer shards, or smaller ` +
      'buffers and cache, need less',
  );
}
