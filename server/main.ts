/**
 * The `millrace` command: which commands there are, and what happens when one fails.
 *
 * `import` and `demo` live with the connectors, which the server may not import: they are loaded by address, when asked
 * for. Every command module exports `command()`, which answers a commander command.
 */
import { Command, CommanderError } from 'commander';
import { command as bench } from './cli/bench.ts';
import { command as get } from './cli/get.ts';
import { command as groups } from './cli/groups.ts';
import { command as scan } from './cli/scan.ts';
import { command as serve } from './cli/serve.ts';
import { command as status } from './cli/status.ts';
import { errorCodeOf, messageOf } from './server-error.ts';
import { SERVER_VERSION } from './server-version.ts';

const EXTENSION: string = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

interface ConnectorCommand {
  readonly name: string;
  /** For the list of commands; the module has its own, longer one. */
  readonly description: string;
  /** The module's address from here. */
  readonly address: string;
}

const CONNECTOR_COMMANDS: readonly ConnectorCommand[] = [
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

/** The command itself when it is asked for, else its line in the list: its module brings large dependencies. */
async function connectorCommand(row: ConnectorCommand, argv: readonly string[]): Promise<Command> {
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
  for (const command of [serve(), get(), scan(), groups(), status(), bench()]) program.addCommand(command);
  for (const row of CONNECTOR_COMMANDS) program.addCommand(await connectorCommand(row, argv));
  for (const command of program.commands) command.exitOverride();
  return program.addHelpText('after', '\nExample:\n  millrace serve --data ./data');
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
