/**
 * `millrace backup`: a copy of a live node's data in a directory of files, whole or since an earlier one; and `backup prune`.
 *
 * Promises: the directory is new, empty, or an unfinished backup of the same node, which is gone on with; a backup counts when its
 * manifest is there, which is written last; prune removes what has expired and nothing else.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { loadChecksum } from '../../storage/index.ts';
import { takeBackup } from '../backup.ts';
import { FinishedBackup } from '../backup-directory.ts';
import { nodeDisk } from '../node-environment.ts';
import { ServerError } from '../server-error.ts';
import {
  type ConnectionOptions,
  EXIT_INTERRUPTED,
  interruptible,
  withClient,
  withConnection,
} from './connection.ts';
import { formatBytes, formatCount } from './figures.ts';
import { ProgressBar } from './progress-bar.ts';

interface Options extends ConnectionOptions {
  readonly since?: string;
  readonly expires?: number;
  readonly maxRate: number;
  readonly plain?: boolean;
}

const SECONDS_OF: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const BYTES_OF: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9 };
/** 250 MB/s: half of what a fast network card carries, so that lookups keep theirs. */
const RATE_DEFAULT = 250e6;

export function command(): Command {
  const backup = withConnection(new Command('backup'))
    .description("copy a live node's data into a directory")
    .argument('<DIR>', 'a new directory, or one with an unfinished backup of this node')
    .option('--since <DIR>', 'only what an earlier backup does not have; it is needed to restore')
    .option('--expires <TIME>', 'do not restore after this time, as in 30d or 12h', seconds)
    .option('--max-rate <BYTES>', 'a second, as in 100M', rate, RATE_DEFAULT)
    .option('--plain', 'no rewritten progress line')
    .addHelpText(
      'after',
      '\nInterrupted, the same command goes on.\n' +
        '\nExample:\n  millrace backup /backups/monday --expires 30d\n  millrace backup /backups/tuesday --since /backups/monday',
    )
    .action(async (directory: string, options: Options) => {
      process.exitCode = await withClient(options, (client) =>
        interruptible(async (signal) => {
          const bar = new ProgressBar(process.stderr, options.plain === true);
          try {
            const { backup, isResumed, values, bytes } = await takeBackup({
              client,
              path: directory,
              since: options.since,
              expiresAt:
                options.expires === undefined ? undefined : new Date(Date.now() + options.expires * 1000),
              bytesPerSecond: options.maxRate,
              signal,
              onProgress: (step) => {
                const part = (step.shard + step.values / Math.max(1, step.valuesWanted)) / step.shardCount;
                bar.show(`shard ${step.shard}`, part, step.bytes);
              },
            });
            bar.end();
            const { expiresAt } = backup.manifest;
            process.stderr.write(
              `${isResumed ? 'went on with a backup' : 'backed up'}: ${formatCount(values)} blocks, ${formatBytes(bytes)}, ` +
                `in ${bar.seconds.toFixed(2)} s to ${backup.path}${expiresAt === null ? '' : `, expires ${expiresAt}`}\n`,
            );
            return 0;
          } catch (error) {
            bar.end();
            if (!signal.aborted) throw error;
            process.stderr.write('interrupted: the same command goes on\n');
            return EXIT_INTERRUPTED;
          }
        }),
      );
    });
  backup.addCommand(pruneCommand());
  return backup;
}

function pruneCommand(): Command {
  return new Command('prune')
    .description('remove the expired backups of a directory of backups')
    .argument('<DIR>', 'the directory that holds backups')
    .addHelpText('after', '\nExample:\n  millrace backup prune /backups')
    .action(async (directory: string) => {
      await loadChecksum();
      const { removed, kept } = pruneBackups(directory, Date.now());
      for (const path of removed) process.stdout.write(`removed ${path}\n`);
      process.stdout.write(`${removed.length} removed, ${kept} kept\n`);
    });
}

/**
 * Removes the expired backups among the directory's entries. What another one builds on expires no earlier than that one, so
 * nothing that can be restored loses its base. Directories that are no finished backup are left alone.
 */
export function pruneBackups(directory: string, nowMs: number): { removed: string[]; kept: number } {
  const removed: string[] = [];
  let kept = 0;
  for (const name of nodeDisk.listFiles(directory)) {
    const path = join(directory, name);
    if (!fs.statSync(path).isDirectory() || !nodeDisk.listFiles(path).includes('backup.json')) continue;
    const { expiresAt } = FinishedBackup.open(path).manifest;
    if (expiresAt === null || Date.parse(expiresAt) > nowMs) {
      kept += 1;
      continue;
    }
    // The manifest first: what is left of an interrupted removal is no backup.
    nodeDisk.remove(join(path, 'backup.json'));
    nodeDisk.syncDirectory(path);
    fs.rmSync(path, { recursive: true });
    removed.push(path);
  }
  if (removed.length + kept === 0) throw new ServerError('BACKUP_INVALID', `${directory} holds no backups`);
  return { removed, kept };
}

function seconds(text: string): number {
  const match = /^(\d+)([smhd])$/.exec(text);
  if (match === null || Number(match[1]) === 0)
    throw new InvalidArgumentError('A time as in 30d, 12h, 90m or 45s.');
  return Number(match[1]) * SECONDS_OF[match[2]!]!;
}

function rate(text: string): number {
  const match = /^(\d+)([kMG]?)$/.exec(text);
  if (match === null || Number(match[1]) === 0) throw new InvalidArgumentError('Bytes a second, as in 100M.');
  return Number(match[1]) * BYTES_OF[match[2]!]!;
}
