#!/usr/bin/env node
/**
 * The `millrace` program: sizes libuv's thread pool, then runs the command line in main.ts.
 *
 * libuv starts its threads at the process's first asynchronous file access, and loading an ES module is one. So this is
 * a CommonJS file, which is loaded synchronously, and it does nothing else.
 *
 * A shard keeps two of the threads busy while it is written: one in a journal commit, one in a commit of its block store.
 * With the default of four, two shards that flush leave a commit waiting for a segment that is being filled with zeros.
 * Beside these come the threads that wait for the device in the place of lookups, so that no commit waits behind a read:
 * sixteen a process, and eight a shard at least (prefetch-slots.ts shares them out).
 */
const { availableParallelism }: typeof import('node:os') = require('node:os');

/** Preparing segments, and whatever else touches a file. */
const OTHER_THREADS = 4;

/** PREFETCH_SLOTS_MAX and PREFETCH_SLOTS_MIN of storage/limits.ts, which is an ES module. */
const PREFETCH_THREADS_MIN = 16;
const PREFETCH_THREADS_PER_SHARD_MIN = 8;
/** SCAN_PREFETCH_SLOTS of scan-limits.ts: the same for each shard's scan thread. */
const SCAN_THREADS_PER_SHARD = 8;

/** libuv stops at 1024 threads. */
const THREADS_MAX = 1024;
const SHARDS_BELIEVED_MAX = 256;

/** Shards asked for on the command line or in the environment; config.ts reads and checks them properly. */
function shardsAsked(): number {
  const { argv, env } = process;
  const inline = argv.find((argument) => argument.startsWith('--shards='))?.slice('--shards='.length);
  const asked = Number(inline ?? argv[argv.indexOf('--shards') + 1 || argv.length] ?? env['MILLRACE_SHARDS']);
  return Number.isInteger(asked) && asked > 0 && asked <= SHARDS_BELIEVED_MAX ? asked : 0;
}

const shards = Math.max(shardsAsked(), availableParallelism());
const prefetchThreads = Math.max(PREFETCH_THREADS_MIN, PREFETCH_THREADS_PER_SHARD_MIN * shards);
const threads = (2 + SCAN_THREADS_PER_SHARD) * shards + OTHER_THREADS + prefetchThreads;
process.env['UV_THREADPOOL_SIZE'] ??= String(Math.min(threads, THREADS_MAX));

void import('./main.js');
