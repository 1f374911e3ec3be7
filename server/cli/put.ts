/** `millrace put`: writes rows given as JSON, for an operator's hand; files are `import`'s. */
import { Command } from 'commander';
import type { Millrace } from '../../client/index.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { parseRow } from './row-argument.ts';
import { reportWrites, rowTexts, type WriteCommandOptions, withWriteOptions } from './write-report.ts';

interface PutCommandOptions extends ConnectionOptions, WriteCommandOptions {
  readonly backfill?: boolean;
}

export function command(): Command {
  return withWriteOptions(withConnection(new Command('put')))
    .description('write rows')
    .argument('<GROUP>', 'the feature group')
    .argument('[ROW...]', 'rows as JSON objects by column name; without any, one a line from the input')
    .option(
      '--backfill',
      'into history only: training reads see the rows, lookups do not, and none is too late',
    )
    .addHelpText(
      'after',
      '\nA row without an event time gets the current one; an absent feature has its default, or is null. The exit status is 1 when a row was refused.\n\n' +
        'Example:\n  millrace put airport \'{"origin": "ORD", "departures": 7}\'\n  millrace get airport ORD --json | millrace put airport --connect other:7400',
    )
    .action(async (group: string, rows: string[], options: PutCommandOptions) => {
      process.exitCode = await withClient(options, (client) => put(client, group, rows, options));
    });
}

async function put(
  client: Millrace,
  name: string,
  args: string[],
  options: PutCommandOptions,
): Promise<number> {
  const group = await client.group(name);
  const texts = await rowTexts(args, process.stdin);
  const rows = texts.map((text) => parseRow(text, group));
  const { ifVersion, backfill = false } = options;
  const result = await client.put(group, rows, {
    lsns: true,
    backfill,
    ...(ifVersion === undefined ? {} : { ifVersion }),
  });
  return reportWrites(texts, result, options.json === true);
}
