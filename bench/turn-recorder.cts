/**
 * Loaded into the server under measurement (`--require`): records what each turn of a shard's event loop costs.
 *
 * A turn is one round of the loop: timers, callbacks, immediates. An immediate that holds nothing alive runs at the end of
 * each round, and there two numbers are read:
 *   own work   the thread's CPU time since the round before (/proc/thread-self/schedstat, ns): waiting for a core is not in it
 *   standstill wall time that the loop was not idle, less the time it waited for a core: own work, and what blocked it, as a
 *              read of the device in this thread would
 * A line a quarter of a second goes to MILLRACE_TURNS_FILE: {"at":ms,"turns":n,"ownMaxMs":x,"stillMaxMs":y,"over5":n,"gcMaxMs":x},
 * the last being the longest garbage collection, which is part of its turn.
 *
 * CommonJS and synchronous, because libuv's thread pool must not start before the launcher has sized it. Reading the two
 * numbers costs about 5 µs a turn.
 */
const fs: typeof import('node:fs') = require('node:fs');
const { performance, PerformanceObserver }: typeof import('node:perf_hooks') = require('node:perf_hooks');
const { workerData }: typeof import('node:worker_threads') = require('node:worker_threads');

const INTERVAL_MS = 250;
const LONG_TURN_MS = 5;
const NS_PER_MS = 1e6;

const path = process.env['MILLRACE_TURNS_FILE'];
const role = (workerData as { role?: unknown } | null)?.role;

function record(file: string): void {
  const schedstat = fs.openSync('/proc/thread-self/schedstat', 'r');
  const text = Buffer.alloc(128);
  let turns = 0;
  let ownMaxMs = 0;
  let stillMaxMs = 0;
  let over5 = 0;
  let gcMaxMs = 0;
  let own = 0;
  let queued = 0;
  let active = 0;
  let writtenAt = 0;

  const read = (): void => {
    // The kernel counts a running thread's time once a tick, unless it is made to: getrusage does that.
    process.cpuUsage();
    const length = fs.readSync(schedstat, text, 0, text.length, 0);
    const [cpuNs = 0, waitNs = 0] = text.toString('latin1', 0, length).split(' ').map(Number);
    own = cpuNs / NS_PER_MS;
    queued = waitNs / NS_PER_MS;
    active = performance.eventLoopUtilization().active;
  };
  const turn = (): void => {
    const before = { own, queued, active };
    read();
    const ownMs = own - before.own;
    const stillMs = Math.max(ownMs, active - before.active - (queued - before.queued));
    turns += 1;
    ownMaxMs = Math.max(ownMaxMs, ownMs);
    stillMaxMs = Math.max(stillMaxMs, stillMs);
    if (stillMs > LONG_TURN_MS) over5 += 1;
    const at = Date.now();
    if (at - writtenAt >= INTERVAL_MS) {
      fs.appendFileSync(file, `${JSON.stringify({ at, turns, ownMaxMs, stillMaxMs, over5, gcMaxMs })}\n`);
      turns = ownMaxMs = stillMaxMs = over5 = gcMaxMs = 0;
      writtenAt = at;
      // What writing cost is nobody's turn.
      read();
    }
    setImmediate(turn).unref();
  };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) gcMaxMs = Math.max(gcMaxMs, duration);
  }).observe({ entryTypes: ['gc'] });
  read();
  setImmediate(turn).unref();
}

if (path !== undefined && role === 'shard') record(path);
