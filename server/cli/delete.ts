/** `millrace delete`: removes rows by key, as of a moment. */
import { Command } from 'commander';
import type { Millrace } from '../../client/index.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { parseKey } from './key-argument.ts';
import { momentArgument } from './time-argument.ts';
import { reportWrites, type WriteCommandOptions, withWriteOptions } from './write-report.ts';

interface DeleteCommandOptions extends ConnectionOptions, WriteCommandOptions {
  readonly eventTime?: number;
  readonly backfill?: boolean;
}

export function command(): Command {
  return withWriteOptions(withConnection(new Command('delete')))
    .description('remove rows')
    .argument('<GROUP>', 'the feature group')
    .argument('<KEY...>', 'entity keys; values of several columns are separated by commas, or a JSON array')
    .option(
      '--event-time <TIME>',
      'since when the rows are gone: ISO 8601, or microseconds; now by default',
      momentArgument,
    )
    .option('--backfill', 'into history only: reads as of a moment see the removal, lookups do not')
    .addHelpText(
      'after',
      '\nWhat was there stays in history; `millrace erase` removes that too. The exit status is 1 when a delete was refused.\n\nExample:\n  millrace delete route ORD,LAX',
    )
    .action(async (group: string, keys: string[], options: DeleteCommandOptions) => {
      process.exitCode = await withClient(options, (client) => remove(client, group, keys, options));
    });
}

async function remove(
  client: Millrace,
  name: string,
  texts: string[],
  options: DeleteCommandOptions,
): Promise<number> {
  const group = await client.group(name);
  const keys = texts.map((text) => parseKey(text, group.key));
  const { ifVersion, eventTime, backfill = false } = options;
  const result = await client.delete(group, keys, {
    lsns: true,
    backfill,
    ...(eventTime === undefined ? {} : { eventTime }),
    ...(ifVersion === undefined ? {} : { ifVersion }),
  });
  return reportWrites(
    texts.map((text) => `${name} ${text}`),
    result,
    options.json === true,
  );
}
