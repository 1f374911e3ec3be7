/**
 * `millrace groups`: lists, shows, creates, changes and drops feature groups.
 *
 * `create` takes the declaration that the client takes, in JSON or YAML; `drop` wants to be told twice, since it cannot be undone.
 */
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { parse as parseYaml } from 'yaml';
import {
  type Group,
  type GroupChangeInput,
  type GroupSpecInput,
  type Millrace,
  MillraceError,
} from '../../client/index.ts';
import { DURABILITIES, type Durability, type Feature, type GroupSpec } from '../../protocol/index.ts';
import { messageOf, ServerError } from '../server-error.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { formatTable, formatUptime } from './figures.ts';
import { isoMicros } from './value-text.ts';

interface GroupsOptions extends ConnectionOptions {
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly ifNotExists?: boolean;
}

const SPEC_EXAMPLE = `
A declaration, in JSON or YAML:
  name: airport
  key: { origin: string }
  features:
    departures: int32
    mean_delay: { type: float32, default: 0 }   # what rows read as that say nothing of it
  eventTimeName: date      # event_time by default
  ttlSeconds: 86400        # rows do not expire by default
  retentionSeconds: 2592000  # all history is kept by default
  latenessSeconds: 604800  # writes may be a week late by default, or as late as the retention
  durability: journal      # or memory: acknowledged before it is on disk
`;

/** Settings as options. */
interface SecondsOptions {
  readonly ttl?: number;
  readonly retention?: number;
  readonly lateness?: number;
}

/** What `create` may say beside the declaration. */
interface CreateOptions extends GroupsOptions, SecondsOptions {
  readonly durability?: Durability;
}

export function command(): Command {
  const groups = new Command('groups').description('list, show, create, change and drop feature groups');
  groups
    .addCommand(listCommand(), { isDefault: true })
    .addCommand(showCommand())
    .addCommand(createCommand())
    .addCommand(alterCommand())
    .addCommand(dropCommand())
    .addHelpText('after', '\nExample:\n  millrace groups\n  millrace groups show airport');
  for (const subcommand of groups.commands) subcommand.exitOverride();
  return groups;
}

function listCommand(): Command {
  return withConnection(new Command('list'))
    .description('every group, with its key and features')
    .option('--json', 'the schemas as JSON, one a line')
    .addHelpText('after', '\nExample:\n  millrace groups list --json')
    .action((options: GroupsOptions) => withClient(options, (client) => list(client, options)));
}

function showCommand(): Command {
  return withConnection(new Command('show'))
    .description("a group's schema")
    .argument('<NAME>', 'the group')
    .option('--json', 'the schema as JSON')
    .addHelpText('after', '\nExample:\n  millrace groups show airport')
    .action((name: string, options: GroupsOptions) =>
      withClient(options, async (client) => {
        const group = await client.group(name);
        process.stdout.write(options.json === true ? jsonLine(group) : shownGroup(group));
      }),
    );
}

function createCommand(): Command {
  return withSeconds(withConnection(new Command('create')))
    .description('create a group from a declaration')
    .argument('<FILE>', 'the declaration, in JSON or YAML; - reads it from the standard input')
    .option('--if-not-exists', 'succeed when the group is there with the same declaration')
    .addOption(
      new Option('--durability <WHEN>', 'when a write is acknowledged: on disk, or in memory').choices(
        DURABILITIES,
      ),
    )
    .addHelpText('after', `${SPEC_EXAMPLE}\nExample:\n  millrace groups create airport.yaml`)
    .action((path: string, options: CreateOptions) => {
      const spec: GroupSpecInput = Object.assign(readSpec(path), settingsOf(options));
      return withClient(options, async (client) => {
        const group = await client.createGroup(spec, { ifNotExists: options.ifNotExists === true });
        process.stdout.write(shownGroup(group));
      });
    });
}

function withSeconds(command: Command): Command {
  return command
    .option('--ttl <SECONDS>', 'rows older than this, by event time, are missing; 0: they stay', seconds)
    .option('--retention <SECONDS>', 'how long history is kept; 0: all of it', seconds)
    .option('--lateness <SECONDS>', 'how late a write may be, if that is longer than the retention', seconds);
}

type SettingName = 'ttlSeconds' | 'retentionSeconds' | 'latenessSeconds' | 'durability';

function settingsOf({
  ttl,
  retention,
  lateness,
  durability,
}: SecondsOptions & { readonly durability?: Durability }): Pick<GroupSpec, SettingName> {
  return {
    ...(ttl === undefined ? {} : { ttlSeconds: ttl }),
    ...(retention === undefined ? {} : { retentionSeconds: retention }),
    ...(lateness === undefined ? {} : { latenessSeconds: lateness }),
    ...(durability === undefined ? {} : { durability }),
  };
}

/** A whole number of seconds; how many are allowed is the schema's to say. */
function seconds(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('A whole number of seconds.');
  return Number(text);
}

interface AlterOptions extends GroupsOptions, SecondsOptions {
  readonly add?: string;
  readonly drop?: string[];
}

function alterCommand(): Command {
  return withSeconds(withConnection(new Command('alter')))
    .description('change a group while its rows are there')
    .argument('<NAME>', 'the group')
    .option(
      '--add <FEATURES>',
      'features to add, as in a declaration: "{ gate: string, delay: { type: int16, default: 0 } }"',
    )
    .option('--drop <FEATURE>', 'a feature to drop, with its values; may be repeated', repeated)
    .option('--json', 'the schema as JSON')
    .addHelpText(
      'after',
      "\nRows are not rewritten: those that say nothing of an added feature read as its default, or null.\nA feature's type never changes; add another feature, or drop and add it in one change.\n" +
        '\nExamples:\n  millrace groups alter airport --add "{ gates: { type: int16, default: 1 } }"\n  millrace groups alter airport --drop mean_delay --retention 86400',
    )
    .action((name: string, options: AlterOptions) => {
      const change: GroupChangeInput = {
        ...settingsOf(options),
        ...(options.add === undefined ? {} : { add: readFeatures(options.add) }),
        ...(options.drop === undefined ? {} : { drop: options.drop }),
      };
      return withClient(options, async (client) => {
        const group = await client.alterGroup(name, change);
        process.stdout.write(options.json === true ? jsonLine(group) : shownGroup(group));
      });
    });
}

function repeated(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** Features as a declaration has them, in JSON or YAML; what is in them is checked by the client. */
function readFeatures(text: string): NonNullable<GroupChangeInput['add']> {
  try {
    const parsed: unknown = parseYaml(text);
    if (typeof parsed === 'object' && parsed !== null) return parsed as NonNullable<GroupChangeInput['add']>;
  } catch (error) {
    throw new MillraceError('USAGE', `--add: ${messageOf(error)}`, { cause: error });
  }
  throw new MillraceError('USAGE', `--add: ${text} names no features with their types`);
}

function dropCommand(): Command {
  return withConnection(new Command('drop'))
    .description('drop a group with all its rows and their history')
    .argument('<NAME>', 'the group')
    .option('--yes', 'yes, drop it: this cannot be undone')
    .addHelpText(
      'after',
      '\nIts rows are invisible at once. Their memory in the index, their place on disk and the id of the group are not given\nback yet: that takes compaction, which is to come.\n' +
        '\nExample:\n  millrace groups drop airport --yes',
    )
    .action((name: string, options: GroupsOptions) => {
      if (options.yes !== true) {
        throw new MillraceError('USAGE', `dropping ${name} cannot be undone: say --yes if that is meant`);
      }
      return withClient(options, async (client) => {
        await client.dropGroup(name);
        process.stdout.write(`dropped ${name}\n`);
      });
    });
}

async function list(client: Millrace, options: GroupsOptions): Promise<void> {
  const groups = await client.groups();
  if (options.json === true) {
    for (const group of groups) process.stdout.write(jsonLine(group));
    return;
  }
  if (groups.length === 0) {
    process.stdout.write('no groups yet: `millrace import` and `millrace groups create` make them\n');
    return;
  }
  const rows = groups.map(({ schema }) => [
    schema.name,
    schema.key.map((column) => column.name).join(', '),
    String(schema.features.length),
    isoMicros(schema.createdAtMicros),
  ]);
  process.stdout.write(formatTable([['GROUP', 'KEY', 'FEATURES', 'CREATED'], ...rows]));
}

function shownGroup({ schema }: Group): string {
  const rows = [
    ...schema.key.map((column) => [`  ${column.name}`, column.type, 'key']),
    [`  ${schema.eventTimeName}`, 'timestamp', 'event time'],
    ...schema.features.map((feature) => [`  ${feature.name}`, typeText(feature), defaultText(feature)]),
  ];
  const ttl =
    schema.ttlSeconds === 0 ? 'rows do not expire' : `rows expire after ${formatUptime(schema.ttlSeconds)}`;
  const history =
    schema.retentionSeconds === 0
      ? 'all history is kept'
      : `history is kept for ${formatUptime(schema.retentionSeconds)}`;
  const lateness = `writes may be ${formatUptime(schema.latenessSeconds)} late`;
  const durability = schema.durability === 'memory' ? '; acknowledged from memory' : '';
  const settings = `schema version ${schema.version}; ${ttl}; ${history}; ${lateness}${durability}`;
  return `${schema.name} (${settings})\n${formatTable(rows)}`;
}

function defaultText(feature: Feature): string {
  return feature.default === undefined ? '' : `default ${JSON.stringify(feature.default)}`;
}

function typeText(feature: Feature): string {
  if (feature.type === 'vector') return `vector(${feature.length})`;
  return feature.type === 'list' ? `list<${feature.item}>` : feature.type;
}

function jsonLine({ schema }: Group): string {
  return `${JSON.stringify(schema)}\n`;
}

/** The declaration in a file; what is in it is checked by the client. JSON is YAML. */
function readSpec(path: string): GroupSpecInput {
  let text: string;
  try {
    text = readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new ServerError('FILE_UNREADABLE', `${path}: ${messageOf(error)}`, { cause: error });
  }
  try {
    const parsed: unknown = parseYaml(text);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return parsed as GroupSpecInput;
  } catch (error) {
    throw new ServerError('FILE_FORMAT_INVALID', `${path}: ${messageOf(error)}`, { cause: error });
  }
  throw new ServerError(
    'FILE_FORMAT_INVALID',
    `${path}: is no declaration of a group; see millrace groups create --help`,
  );
}
