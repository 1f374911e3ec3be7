/** `millrace reshard`: rewrites a data directory for another number of shards, while no node uses it. */
import { Command } from 'commander';
import { reshard } from '../reshard.ts';
import { formatBytes, formatCount } from './figures.ts';
import { ProgressBar } from './progress-bar.ts';
import { shardCount } from './restore.ts';

interface Options {
  readonly data: string;
  readonly shards: number;
  readonly plain?: boolean;
}

export function command(): Command {
  return new Command('reshard')
    .description('rewrite a data directory for another number of shards')
    .requiredOption('--data <DIR>', 'the data directory of a node that does not run')
    .requiredOption('--shards <N>', 'how many shards', shardCount)
    .option('--plain', 'no rewritten progress line')
    .addHelpText(
      'after',
      '\nThe old shards stay until the new ones are complete, so there must be room for both. Interrupted, nothing has changed, or all.\n' +
        '\nExample:\n  millrace reshard --data ./data --shards 4',
    )
    .action(async (options: Options) => {
      const bar = new ProgressBar(process.stderr, options.plain === true);
      try {
        const result = await reshard({
          dataDirectory: options.data,
          shards: options.shards,
          onProgress: (done, total) => bar.show('reshard', done / Math.max(1, total), done),
        });
        bar.end();
        process.stderr.write(
          `rewrote ${formatCount(result.records)} versions, ${formatBytes(result.bytes)}, from ${result.shardsBefore} to ` +
            `${options.shards} shards in ${bar.seconds.toFixed(2)} s\n`,
        );
      } finally {
        bar.end();
      }
    });
}
