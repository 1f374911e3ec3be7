/**
 * `millrace import FILE`: its options and its help. What it does is import-file.ts.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import { type ImportOptions, importFile } from './import-file.ts';

export function command(): Command {
  return new Command('import')
    .description('load a Parquet, CSV, JSON lines or Arrow file into a feature group')
    .argument('<FILE>', 'the file; what it is shows by its content, then by its name')
    .requiredOption('--group <NAME>', 'the group; it is created when it is not there')
    .requiredOption('--key <COLUMNS>', 'the columns of the entity key, separated by commas', columnList)
    .option('--event-time <COLUMN>', 'the column that says when a row was true; without it, now')
    .option('--connect <HOST:PORT>', 'a node', '127.0.0.1:7400')
    .option('--schema <TYPES>', 'types over those found: delay:int32,distance:int32, or a .json file')
    .option('--columns <COLUMNS>', 'import only these, beside key and event time', columnList)
    .addOption(
      new Option('--format <FORMAT>', 'what the file is').choices(['parquet', 'csv', 'jsonl', 'arrow']),
    )
    .option(
      '--delimiter <CHARACTER>',
      'CSV: what stands between fields; found in the header by default',
      oneCharacter,
    )
    .option('--null <TEXT...>', 'CSV: texts that mean null, beside the empty field')
    .addOption(
      new Option('--time-unit <UNIT>', 'what numbers in time columns count').choices(['s', 'ms', 'us', 'ns']),
    )
    .option('--ttl <SECONDS>', 'for a new group: rows older than this, by event time, are missing', seconds)
    .option('--retention <SECONDS>', 'for a new group: how long superseded versions are kept', seconds)
    .option(
      '--backfill',
      'rows enter history only, however old: training reads see them, lookups do not and keep what they have',
    )
    .option('--skip-refused', 'go on without rows that the node refuses, and count them')
    .option('--progress-file <PATH>', 'where to note how far the import has come; beside FILE by default')
    .option('--restart', 'begin at the first row, whatever an earlier attempt did')
    .option('--dry-run', 'show the schema and stop')
    .option('--plain', 'no progress bar, whole lines only')
    .addHelpText(
      'after',
      '\nTimestamps without a zone are UTC. An import that was cut short goes on where it stopped: give the same command again.\n' +
        '\nExample:\n  millrace import flights.parquet --group flight --key id --event-time date --schema delay:int32,distance:int32',
    )
    .action(async (path: string, options: ImportOptions) => {
      process.exitCode = await importFile(path, options);
    });
}

function columnList(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('Columns are separated by single commas.');
  return names;
}

function oneCharacter(text: string): string {
  const character = text === '\\t' ? '\t' : text;
  if (character.length !== 1 || character > '~' || '"\r\n'.includes(character)) {
    throw new InvalidArgumentError('One ASCII character, no quote and no line end.');
  }
  return character;
}

function seconds(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('A whole number of seconds.');
  return Number(text);
}
