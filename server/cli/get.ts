/**
 * `millrace get`: the latest rows of some entities, for a person or as JSON.
 *
 * A missing row is no error: it is shown as missing, and the exit status is 3, so that a script can tell.
 */
import { Command } from 'commander';
import type { Group, Millrace, Row } from '../../client/index.ts';
import { type ConnectionOptions, EXIT_NOT_FOUND, withClient, withConnection } from './connection.ts';
import { formatTable } from './figures.ts';
import { parseKey } from './key-argument.ts';
import { jsonValue, shownValue, type ValueType } from './value-text.ts';

interface GetOptions extends ConnectionOptions {
  readonly features?: string;
  readonly json?: boolean;
  readonly withVersion?: boolean;
}

export function command(): Command {
  return withConnection(new Command('get'))
    .description('look up the latest rows of entities')
    .argument('<GROUP>', 'the feature group')
    .argument('<KEY...>', 'entity keys; values of several columns are separated by commas, or a JSON array')
    .option('--features <NAMES>', 'only these features, separated by commas')
    .option('--json', 'one JSON object a key and line, null for a missing row')
    .option('--with-version', 'also each row’s version, which put, patch and delete take as --if-version')
    .addHelpText(
      'after',
      '\nThe exit status is 3 when a row is missing.\n\nExample:\n  millrace get airport ORD\n  millrace get route ORD,LAX --json\n  millrace get account -- -5     (after -- nothing is an option: a key may begin with a minus)',
    )
    .action(async (group: string, keys: string[], options: GetOptions) => {
      process.exitCode = await withClient(options, (client) => get(client, group, keys, options));
    });
}

async function get(client: Millrace, name: string, texts: string[], options: GetOptions): Promise<number> {
  const group = await client.group(name);
  const keys = texts.map((text) => parseKey(text, group.key));
  const features = options.features?.split(',').map((feature) => feature.trim());
  const found = await client.getVersioned(group, keys, features === undefined ? {} : { features });
  const columns = columnsOf(group, features);
  for (const [i, { row, version }] of found.entries()) {
    const heading =
      options.withVersion === true ? `${name} ${texts[i]}, version ${version}` : `${name} ${texts[i]}`;
    if (options.json !== true) process.stdout.write(shownRow(heading, row, columns));
    else if (options.withVersion === true) {
      process.stdout.write(`${JSON.stringify({ version, row: jsonRow(row, columns) })}\n`);
    } else process.stdout.write(`${JSON.stringify(jsonRow(row, columns))}\n`);
  }
  return found.some(({ row }) => row === null) ? EXIT_NOT_FOUND : 0;
}

type NamedColumn = ValueType & { readonly name: string };

function columnsOf(group: Group, features: readonly string[] | undefined): NamedColumn[] {
  const { schema } = group;
  const wanted =
    features === undefined
      ? schema.features
      : features.map((feature) => schema.features.find((known) => known.name === feature)!);
  return [...schema.key, { name: schema.eventTimeName, type: 'timestamp' }, ...wanted];
}

function jsonRow(row: Partial<Row> | null, columns: readonly NamedColumn[]): Record<string, unknown> | null {
  if (row === null) return null;
  return Object.fromEntries(columns.map((column) => [column.name, jsonValue(column, row[column.name])]));
}

function shownRow(heading: string, row: Partial<Row> | null, columns: readonly NamedColumn[]): string {
  if (row === null) return `${heading}\n  no such row\n`;
  return `${heading}\n${formatTable(columns.map((column) => [`  ${column.name}`, shownValue(column, row[column.name])]))}`;
}
