#!/usr/bin/env node
/**
 * The `millrace` program: sizes libuv's thread pool, then runs the command line in main.ts.
 *
 * libuv starts its threads at the process's first asynchronous file access, and loading an ES module is one. So this is
 * a CommonJS file, which is loaded synchronously, and it does nothing else.
 *
 * A shard keeps two of the threads busy while it is written: one in a journal commit, one in a commit of its block store.
 * With the default of four, two shards that flush leave a commit waiting for a segment that is being filled with zeros.
 */
const { availableParallelism }: typeof import('node:os') = require('node:os');

/** Preparing segments, and whatever else touches a file. */
const OTHER_THREADS = 4;

process.env['UV_THREADPOOL_SIZE'] ??= String(2 * availableParallelism() + OTHER_THREADS);

void import('./main.js');
