/** `millrace patch`: changes some features of rows, and leaves the others as they are. */
import { Command } from 'commander';
import type { Millrace } from '../../client/index.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { parsePatch } from './row-argument.ts';
import { reportWrites, rowTexts, type WriteCommandOptions, withWriteOptions } from './write-report.ts';

interface PatchCommandOptions extends ConnectionOptions, WriteCommandOptions {}

export function command(): Command {
  return withWriteOptions(withConnection(new Command('patch')))
    .description('change some features of rows')
    .argument('<GROUP>', 'the feature group')
    .argument('[PATCH...]', 'patches as JSON objects by column name; without any, one a line from the input')
    .addHelpText(
      'after',
      '\nA value is set, null sets null, and an object is a step: {"add": 1}, {"min": 1}, {"max": 1}, {"append": [1], "max": 50}.\n' +
        'The exit status is 1 when a patch was refused.\n\n' +
        'Example:\n  millrace patch airport \'{"origin": "ORD", "departures": {"add": 1}, "carrier": "WN"}\'',
    )
    .action(async (group: string, patches: string[], options: PatchCommandOptions) => {
      process.exitCode = await withClient(options, (client) => patch(client, group, patches, options));
    });
}

async function patch(
  client: Millrace,
  name: string,
  args: string[],
  options: PatchCommandOptions,
): Promise<number> {
  const group = await client.group(name);
  const texts = await rowTexts(args, process.stdin);
  const patches = texts.map((text) => parsePatch(text, group));
  const { ifVersion } = options;
  const result = await client.patch(group, patches, {
    lsns: true,
    ...(ifVersion === undefined ? {} : { ifVersion }),
  });
  return reportWrites(texts, result, options.json === true);
}
