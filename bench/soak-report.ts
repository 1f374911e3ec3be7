/** What a soak says when it has ended: its outcome, what was done, and memory and disk over time. Markdown. */
import { describeMachine } from './machine.ts';
import type { CompactionFigures, SoakNode } from './soak-node.ts';

export interface SoakSample extends CompactionFigures {
  /** Since the start. */
  readonly seconds: number;
  /** Of the node's process, without pages of mapped files. */
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** Of the soak's own process, model and client. */
  readonly ownMemoryBytes: number;
  /** Since the sample before. */
  readonly rowsWritten: number;
  readonly mismatches: number;
}

export interface SoakOutcome {
  readonly counts: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
  readonly samples: readonly SoakSample[];
  readonly node: Pick<SoakNode, 'kills' | 'cleanRestarts' | 'slowestStartMs' | 'shards'>;
  readonly minutes: number;
  readonly seed: number;
  readonly failure: unknown;
}

const ROWS_MAX = 40;

export function soakReport(outcome: SoakOutcome): string {
  const { counts, faults, samples, node, minutes, seed, failure } = outcome;
  const machine = describeMachine();
  const mismatches = counts['mismatches'] ?? 0;
  const verdict =
    failure !== undefined
      ? 'ended early'
      : mismatches === 0
        ? 'nothing was wrong'
        : `${mismatches} mismatches`;
  const lines = [
    '# Soak',
    '',
    `**${verdict}** in ${minutes} minutes, seed ${seed}, ${machine.date}: \`npm run soak -- --minutes ${minutes} --seed ${seed}\``,
    '',
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib} GiB, kernel ${machine.kernel}, Node ${machine.node}, Millrace ${machine.millrace}, ` +
      `${node.shards} shards.`,
    '',
  ];
  if (failure !== undefined)
    lines.push('```', String(failure instanceof Error ? failure.stack : failure), '```', '');
  lines.push('| what | how many |', '|---|---:|');
  const done = { ...counts, 'kill -9': node.kills, 'clean restarts': node.cleanRestarts, mismatches };
  for (const [what, count] of Object.entries(done))
    lines.push(`| ${what} | ${count.toLocaleString('en-US')} |`);
  const end = samples.at(-1);
  if (end !== undefined) {
    // As of samples every ten seconds: a kill takes with it what was compacted since the last one.
    lines.push(`| sweeps | ${end.sweeps.toLocaleString('en-US')} |`);
    lines.push(`| units rewritten, at least | ${end.unitsRewritten.toLocaleString('en-US')} |`);
    lines.push(`| MiB written by compaction, at least | ${mib(end.compactedBytes).replace(' MiB', '')} |`);
  }
  lines.push(`| slowest start, ms | ${Math.round(node.slowestStartMs).toLocaleString('en-US')} |`, '');
  for (const fault of faults) lines.push(`- ${fault}`);
  if (faults.length > 0) lines.push('');
  lines.push(
    '| at | memory | disk | level 0 | level 1 | sweeps | units rewritten | memory of the soak | rows written a second |',
    '|---:|---:|---:|---:|---:|---:|---:|---:|---:|',
  );
  const step = Math.max(1, Math.ceil(samples.length / ROWS_MAX));
  for (let first = 0; first < samples.length; first += step) {
    const part = samples.slice(first, first + step);
    const last = part.at(-1)!;
    const since = first === 0 ? 0 : samples[first - 1]!.seconds;
    const rows = part.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0);
    lines.push(
      `| ${Math.floor(last.seconds / 60)}:${String(last.seconds % 60).padStart(2, '0')} | ${mib(last.memoryBytes)} | ` +
        `${mib(last.diskBytes)} | ${mib(last.levelZeroBytes)} | ${mib(last.levelOneBytes)} | ` +
        `${last.sweeps.toLocaleString('en-US')} | ${last.unitsRewritten.toLocaleString('en-US')} | ${mib(last.ownMemoryBytes)} | ${Math.round(rows / Math.max(1, last.seconds - since)).toLocaleString('en-US')} |`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20).toLocaleString('en-US')} MiB`;
}
