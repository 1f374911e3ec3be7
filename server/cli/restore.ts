/** `millrace restore`: a fresh data directory from a backup, for as many shards as wanted. */
import { Command, InvalidArgumentError } from 'commander';
import { restoreBackup } from '../restore.ts';
import { formatBytes, formatCount } from './figures.ts';
import { ProgressBar } from './progress-bar.ts';

interface Options {
  readonly data: string;
  readonly shards?: number;
  readonly plain?: boolean;
}

export function command(): Command {
  return new Command('restore')
    .description('make a data directory from a backup')
    .argument('<BACKUP_DIR>', 'a finished backup; those that it builds on must be where they were')
    .requiredOption('--data <DIR>', 'a new directory')
    .option('--shards <N>', 'how many shards; by default as many as the node had', shardCount)
    .option('--plain', 'no rewritten progress line')
    .addHelpText(
      'after',
      '\nEverything is verified before it counts. Interrupted, the same command starts over.\n' +
        '\nExample:\n  millrace restore /backups/tuesday --data ./data --shards 4',
    )
    .action(async (backup: string, options: Options) => {
      const bar = new ProgressBar(process.stderr, options.plain === true);
      try {
        const result = await restoreBackup({
          backup,
          target: options.data,
          shards: options.shards,
          onProgress: (done, total) => bar.show('restore', done / Math.max(1, total), done),
        });
        bar.end();
        process.stderr.write(
          `restored ${formatCount(result.records)} versions, ${formatBytes(result.bytes)} of ` +
            `${result.backups === 1 ? 'one backup' : `${result.backups} backups`}, all verified, ` +
            `in ${bar.seconds.toFixed(2)} s to ${result.path} (${result.shardCount} shards)\n`,
        );
      } finally {
        bar.end();
      }
    });
}

export function shardCount(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('A number of shards, from 1.');
  return Number(text);
}
