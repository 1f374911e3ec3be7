/** `millrace erase`: removes every version of a key from all files of a live node, and says what was searched to prove it. */
import { Command } from 'commander';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { formatBytes, formatCount } from './figures.ts';
import { parseKey } from './key-argument.ts';

interface Options extends ConnectionOptions {
  readonly group: string;
  readonly key: string;
}

export function command(): Command {
  return withConnection(new Command('erase'))
    .description('remove every version of a key from all files of a live node, and prove it')
    .requiredOption('--group <GROUP>', 'the feature group')
    .requiredOption('--key <KEY>', 'the entity key, as for `millrace get`')
    .addHelpText(
      'after',
      '\nBackups keep what they hold until they expire. A later put of the key is a new row.\n' +
        '\nExample:\n  millrace erase --group user --key 4711',
    )
    .action((options: Options) =>
      withClient(options, async (client) => {
        const group = await client.group(options.group);
        const erasure = await client.erase(options.group, parseKey(options.key, group.key));
        const newer =
          erasure.newer === 0 ? '' : `; ${formatCount(erasure.newer)} records written since are its new row`;
        process.stdout.write(
          `erased ${options.group} ${options.key} in ${(erasure.milliseconds / 1000).toFixed(2)} s: ` +
            `${formatCount(erasure.files)} files, ${formatBytes(erasure.bytes)}, were searched and hold no version up to LSN ` +
            `${erasure.highestLsn} of partition ${erasure.partition}${newer}\n`,
        );
      }),
    );
}
