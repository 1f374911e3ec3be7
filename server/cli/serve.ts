/**
 * `millrace serve`: runs a node until it is told to stop.
 *
 * I1  SIGTERM and SIGINT drain and close the node, and the process exits 0 with everything acknowledged on disk. A second
 *     signal exits at once with 1, which loses nothing acknowledged either: the journal has it.
 * I2  A node that cannot start, or fails, ends the process with 1 and one line that names the code and the reason.
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import {
  CONFIG_TABLE,
  type ConfigRow,
  type ConfigSources,
  loadConfig,
  type ServerConfig,
} from '../config.ts';
import { createLogger } from '../log.ts';
import { type RunningNode, startNode } from '../node.ts';
import { errorCodeOf, messageOf, ServerError } from '../server-error.ts';
import { StartProgress } from '../start-progress.ts';

const CONFIG_VARIABLE = 'MILLRACE_CONFIG';

export function command(): Command {
  const serve = new Command('serve').description('run a node').allowExcessArguments(false);
  for (const row of CONFIG_TABLE) serve.option(`${row.flag} <${row.placeholder}>`, describe(row));
  serve
    .option(
      '--config <FILE>',
      `YAML or JSON file with these settings (${CONFIG_VARIABLE}); flags and environment go first`,
    )
    .addHelpText(
      'after',
      '\nExample:\n  millrace serve --data ./data --port 7400 --shards 2\n\nThe node stops on SIGTERM or Ctrl-C.',
    )
    .action(async (options: Record<string, string | undefined>) => {
      process.exitCode = await serveUntilStopped(options);
    });
  return serve;
}

function describe(row: ConfigRow): string {
  const byDefault = row.default === undefined || row.default === 0 ? '' : `; default ${row.default}`;
  return `${row.description} (${row.env}${byDefault})`;
}

async function serveUntilStopped(options: Record<string, string | undefined>): Promise<number> {
  try {
    const { config, warnings } = loadConfig(sourcesOf(options));
    const log = createLogger(config.logLevel, 'main');
    for (const warning of warnings) log.warn(warning);
    const progress = new StartProgress(process.stderr);
    const node = await startNode({ ...nodeOptions(config), onProgress: (step) => progress.show(step) });
    progress.end();
    stopOnSignals(node);
    process.stdout.write(`${readyLine(node, config)}\n`);
    await node.closed;
    return 0;
  } catch (error) {
    process.stderr.write(`millrace serve: ${errorCodeOf(error) ?? 'INTERNAL'}: ${messageOf(error)}\n`);
    return 1;
  }
}

function sourcesOf(options: Record<string, string | undefined>): ConfigSources {
  // Commander names an option by its flag; the table by its key.
  const flags = Object.fromEntries(CONFIG_TABLE.map((row) => [row.key, options[attributeOf(row.flag)]]));
  const path = options['config'] ?? process.env[CONFIG_VARIABLE];
  if (path === undefined) return { flags, env: process.env };
  try {
    return { flags, env: process.env, file: { path, text: readFileSync(path, 'utf8') } };
  } catch (error) {
    throw new ServerError('CONFIG_INVALID', `config file ${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** `--log-level` is `logLevel` to commander. */
function attributeOf(flag: string): string {
  return flag.slice(2).replace(/-([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}

function nodeOptions(config: ServerConfig): Parameters<typeof startNode>[0] {
  const { shards, cacheBytes, ...rest } = config;
  return {
    ...rest,
    shards: shards === 0 ? undefined : shards,
    cacheBytes: cacheBytes === 0 ? undefined : cacheBytes,
  };
}

function readyLine(node: RunningNode, config: ServerConfig): string {
  const count = `${node.shardCount} ${node.shardCount === 1 ? 'shard' : 'shards'}`;
  return `millrace serves ${config.dataDirectory} on ${node.host}:${node.port} (${count})`;
}

function stopOnSignals(node: RunningNode): void {
  let signals = 0;
  const stop = (): void => {
    signals += 1;
    if (signals > 1) process.exit(1);
    // `closed` rejects with the same error, and is what serveUntilStopped waits for.
    node.close().catch(() => undefined);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}
