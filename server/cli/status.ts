/**
 * `millrace status`: how a node is, for a person or as JSON.
 */
import { Command } from 'commander';
import type { NodeStatus } from '../../client/index.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { formatBytes, formatCount, formatTable, formatUptime } from './figures.ts';

interface StatusOptions extends ConnectionOptions {
  readonly json?: boolean;
}

export function command(): Command {
  return withConnection(new Command('status'))
    .description("a node's version, shards, memory and disk")
    .option('--json', 'everything the node says, as JSON')
    .addHelpText('after', '\nExample:\n  millrace status\n  millrace status --json --connect 10.0.0.7:7400')
    .action((options: StatusOptions) =>
      withClient(options, async (client) => {
        const status = await client.status();
        process.stdout.write(
          options.json === true ? `${JSON.stringify(status, null, 2)}\n` : shownStatus(status),
        );
      }),
    );
}

/** A figure of the shards: its heading, its name in the status, and how its number is written. */
const FIGURES: readonly [heading: string, name: string, format: (value: number) => string][] = [
  ['ROWS', 'rows', formatCount],
  ['VERSIONS', 'versions', formatCount],
  ['INDEX', 'indexBytes', formatBytes],
  ['WRITE BUFFER', 'writeBufferBytes', formatBytes],
  ['CACHE', 'cacheBytes', formatBytes],
  ['BLOCKS', 'blockFileBytes', formatBytes],
  ['LEVEL 0', 'levelZeroBytes', formatBytes],
  ['LEVEL 1', 'levelOneBytes', formatBytes],
  ['DEAD', 'deadBytes', formatBytes],
  ['JOURNAL', 'journalBytes', formatBytes],
];

/** A line for each shard that has damaged blocks; empty as it should be. */
function damageOf({ shards }: NodeStatus): string {
  const lines = shards.map((shard, i) => {
    const blocks = shard['damagedBlocks'] ?? 0;
    if (blocks === 0) return '';
    const units = formatCount(shard['damagedUnits'] ?? 0);
    const first = `group ${shard['damagedGroup'] ?? 0}, partition ${shard['damagedPartition'] ?? 0} the first`;
    return `shard ${i} has damaged blocks (${formatCount(blocks)}): ${units} partitions of groups, ${first}, are neither served nor compacted; stop the node and run \`millrace repair\`\n`;
  });
  return lines.join('');
}

export function shownStatus(status: NodeStatus): string {
  const { nodeId, version, uptimeSeconds, shards } = status;
  const groups =
    typeof status['groups'] === 'number'
      ? `, ${formatCount(status['groups'])} ${status['groups'] === 1 ? 'group' : 'groups'}`
      : '';
  const limit = status['memoryLimitBytes'];
  const limited = typeof limit === 'number' && limit > 0 ? ` (limit ${formatBytes(limit)})` : '';
  const memory =
    typeof status['memoryBytes'] === 'number'
      ? `, ${formatBytes(status['memoryBytes'])} of memory${limited}`
      : '';
  const head = `node ${nodeId}, millrace ${version}, up ${formatUptime(uptimeSeconds)}${groups}${memory}\n`;
  const lineOf = (name: string, figureOf: (figure: string) => number): string[] => [
    name,
    ...FIGURES.map(([, figure, format]) => format(figureOf(figure))),
  ];
  const rows = shards.map((shard, i) => lineOf(String(i), (figure) => shard[figure] ?? 0));
  if (shards.length > 1) {
    rows.push(lineOf('all', (figure) => shards.reduce((sum, shard) => sum + (shard[figure] ?? 0), 0)));
  }
  const columns = new Set(FIGURES.map((_, i) => i + 1));
  return (
    head +
    damageOf(status) +
    formatTable([['SHARD', ...FIGURES.map(([heading]) => heading)], ...rows], columns)
  );
}
