/**
 * The `millrace` command: which commands there are, and what happens when one fails.
 *
 * A command's module is loaded when it is asked for: together they take a third of a second, and a node that restarts has better
 * things to do. `import` and `demo` live with the connectors, which the server may not import. Every command module exports
 * `command()`, which answers a commander command.
 */
import { Command, CommanderError } from 'commander';
import { errorCodeOf, messageOf } from './server-error.ts';
import { SERVER_VERSION } from './server-version.ts';

const EXTENSION: string = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

interface CommandRow {
  readonly name: string;
  /** For the list of commands; the module has its own, longer one. */
  readonly description: string;
  /** The module's address from here. */
  readonly address: string;
}

const COMMANDS: readonly CommandRow[] = [
  { name: 'serve', description: 'run a node', address: `./cli/serve${EXTENSION}` },
  { name: 'get', description: 'look up the latest rows of entities', address: `./cli/get${EXTENSION}` },
  { name: 'put', description: 'write rows', address: `./cli/put${EXTENSION}` },
  { name: 'patch', description: 'change some features of rows', address: `./cli/patch${EXTENSION}` },
  { name: 'delete', description: 'remove rows', address: `./cli/delete${EXTENSION}` },
  {
    name: 'scan',
    description: 'read every row of a group: a training read',
    address: `./cli/scan${EXTENSION}`,
  },
  {
    name: 'groups',
    description: 'list, show, create and drop feature groups',
    address: `./cli/groups${EXTENSION}`,
  },
  {
    name: 'status',
    description: "a node's version, shards, memory and disk",
    address: `./cli/status${EXTENSION}`,
  },
  {
    name: 'inspect',
    description: 'what a data directory holds: rows, versions, bytes live and dead, index memory',
    address: `./cli/inspect${EXTENSION}`,
  },
  {
    name: 'verify',
    description: 'read everything in a data directory and say what is damaged',
    address: `./cli/verify${EXTENSION}`,
  },
  {
    name: 'repair',
    description: 'take out of a data directory what cannot be read, and say what that is',
    address: `./cli/repair${EXTENSION}`,
  },
  {
    name: 'backup',
    description: "copy a live node's data into a directory",
    address: `./cli/backup${EXTENSION}`,
  },
  {
    name: 'restore',
    description: 'make a data directory from a backup',
    address: `./cli/restore${EXTENSION}`,
  },
  {
    name: 'reshard',
    description: 'rewrite a data directory for another number of shards',
    address: `./cli/reshard${EXTENSION}`,
  },
  {
    name: 'erase',
    description: 'remove every version of a key from all files of a live node, and prove it',
    address: `./cli/erase${EXTENSION}`,
  },
  {
    name: 'bench',
    description: 'measure gets, matrix reads and puts against a node',
    address: `./cli/bench${EXTENSION}`,
  },
  {
    name: 'import',
    description: 'load a Parquet, CSV, JSON lines or Arrow file into a group',
    address: `../connectors/files/command${EXTENSION}`,
  },
  {
    name: 'demo',
    description: 'load three million real flights into a node of its own and look around',
    address: `../connectors/flights/command${EXTENSION}`,
  },
];

/** Wrong usage, as most shells' tools say it. */
const EXIT_USAGE = 2;

/** The command itself when it is asked for, else its line in the list. */
async function commandOf(row: CommandRow, argv: readonly string[]): Promise<Command> {
  if (!argv.includes(row.name)) return new Command(row.name).description(row.description);
  const module = (await import(new URL(row.address, import.meta.url).href)) as { command(): Command };
  return module.command();
}

async function buildProgram(argv: readonly string[]): Promise<Command> {
  const program = new Command('millrace')
    .description('A low-latency hybrid-memory feature store: one copy for lookups and training reads')
    .version(SERVER_VERSION)
    .showHelpAfterError('(try --help)')
    .exitOverride();
  for (const row of COMMANDS) program.addCommand(await commandOf(row, argv));
  for (const command of program.commands) exitsByThrowing(command);
  return program.addHelpText('after', '\nExample:\n  millrace serve --data ./data');
}

/** Commands of commands included: backup has one. */
function exitsByThrowing(command: Command): void {
  command.exitOverride();
  for (const inner of command.commands) exitsByThrowing(inner);
}

/** Who read our output has had enough, as `head` does: a command is done then, a server goes on without it. */
function endWithReader(argv: readonly string[]): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' && argv[0] !== 'serve') process.exit(0);
  });
}

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  endWithReader(argv);
  const program = await buildProgram(argv);
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
      return;
    }
    process.stderr.write(`millrace: ${errorCodeOf(error) ?? 'INTERNAL'}: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}

await main();
