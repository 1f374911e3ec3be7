/**
 * CPU seconds of other processes and of their threads, as Linux counts them in /proc.
 *
 * The kernel counts in ticks of 10 ms, so a reading over a second or more is good to a percent.
 */

import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ is 100 on every Linux that Node runs on; the C library is the only one to ask. */
const TICKS_PER_SECOND = 100;

interface Stat {
  cpuSeconds: number;
  nice: number;
}

/** utime and stime are fields 14 and 15, nice is 19, counted from 1; the name before them may hold spaces. */
function readStat(path: string): Stat {
  const text = readFileSync(path, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    nice: Number(fields[16]),
  };
}

/** All threads of the process, also those that have ended. */
export function processCpuSeconds(pid: number): number {
  return readStat(`/proc/${pid}/stat`).cpuSeconds;
}

/** The threads whose nice value is `nice`: a node's scan threads run at 19, which tells them from the rest. */
export function threadCpuSeconds(pid: number, nice: number): number {
  let seconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const stat = readStat(`/proc/${pid}/task/${thread}/stat`);
    if (stat.nice === nice) seconds += stat.cpuSeconds;
  }
  return seconds;
}

/** Bytes of DRAM the process holds. */
export function residentBytes(pid: number): number {
  const found = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmRSS:\s+(\d+) kB$/m);
  return found === null ? Number.NaN : Number(found[1]) * 1024;
}
