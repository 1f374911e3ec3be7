/**
 * `millrace inspect`: what a data directory holds, by group, and by partition with --partitions, while no node runs on it.
 */
import { Command } from 'commander';
import {
  type InspectedShard,
  inspectBlocks,
  loadChecksum,
  openBlockStore,
  type UnitFigures,
} from '../../storage/index.ts';
import { nodeDisk } from '../node-environment.ts';
import { formatBytes, formatCount, formatTable } from './figures.ts';
import { type OfflineDirectory, openOffline, pause } from './offline-directory.ts';
import { WorkProgress } from './work-progress.ts';

interface InspectOptions {
  readonly data: string;
  readonly partitions?: boolean;
  readonly json?: boolean;
}

type Figures = Omit<UnitFigures, 'group' | 'partition'>;

export function command(): Command {
  return new Command('inspect')
    .description(
      'what a data directory holds, while no node runs on it: rows, versions, bytes live and dead, index memory',
    )
    .requiredOption('--data <DIR>', 'data directory')
    .option('--partitions', 'a line for each partition of a group')
    .option('--json', 'every group and partition, as JSON')
    .addHelpText('after', '\nExample:\n  millrace inspect --data ./data')
    .action(async (options: InspectOptions) => {
      await loadChecksum();
      const offline = openOffline(options.data);
      try {
        const shards = await inspectShards(offline);
        process.stdout.write(
          options.json === true ? shownJson(offline, shards) : shownTable(offline, shards, options),
        );
      } finally {
        offline.directory.close();
      }
    });
}

async function inspectShards({ directory }: OfflineDirectory): Promise<InspectedShard[]> {
  const progress = new WorkProgress(process.stderr);
  const shards: InspectedShard[] = [];
  for (let shardIndex = 0; shardIndex < directory.shardCount; shardIndex++) {
    progress.begin(`shard ${shardIndex}`);
    const path = `${directory.shardDirectory(shardIndex)}/blocks`;
    const store = openBlockStore({ directory: path, disk: nodeDisk, readOnly: true, readAhead: true });
    try {
      const inspected = await inspectBlocks({
        store,
        shardIndex,
        shardCount: directory.shardCount,
        nowSeconds: Math.floor(Date.now() / 1000),
        pause,
        onProgress: (done, total) => progress.show(done, total),
      });
      shards.push(inspected);
    } finally {
      progress.end();
      await store.close();
    }
  }
  return shards;
}

function nameOf({ groupNames }: OfflineDirectory, group: number): string {
  return groupNames.get(group) ?? `${group} (dropped)`;
}

/** JSON has no infinity, and a unit of which a sweep has consumed everything has no oldest version. */
function timeOf(micros: number): string | null {
  return Number.isFinite(micros) ? new Date(micros / 1000).toISOString() : null;
}

function shownJson(offline: OfflineDirectory, shards: readonly InspectedShard[]): string {
  const report = shards.map(({ units, ...shard }, index) => ({
    shard: index,
    ...shard,
    units: units.map(({ oldestEventMicros, ...unit }) => ({
      ...unit,
      groupName: offline.groupNames.get(unit.group) ?? null,
      oldestEvent: timeOf(oldestEventMicros),
    })),
  }));
  return `${JSON.stringify({ directory: offline.directory.path, shards: report }, null, 2)}\n`;
}

const HEADINGS = ['ROWS', 'VERSIONS', 'LIVE', 'DEAD', 'OLDEST VERSION', 'LEVEL 0', 'LEVEL 1'];

function cellsOf(unit: Figures): string[] {
  return [
    formatCount(unit.rows),
    formatCount(unit.versions),
    formatBytes(unit.liveBytes),
    formatBytes(unit.deadBytes),
    timeOf(unit.oldestEventMicros) ?? '',
    formatCount(unit.levelZeroBlocks),
    formatCount(unit.levelOneBlocks),
  ];
}

function shownTable(
  offline: OfflineDirectory,
  shards: readonly InspectedShard[],
  options: InspectOptions,
): string {
  const units = shards
    .flatMap((shard) => shard.units)
    .sort((a, b) => a.group - b.group || a.partition - b.partition);
  const right = new Set([1, 2, 3, 4, 6, 7].map((column) => column + (options.partitions === true ? 1 : 0)));
  const rows =
    options.partitions === true
      ? [
          ['GROUP', 'PARTITION', ...HEADINGS],
          ...units.map((unit) => [nameOf(offline, unit.group), String(unit.partition), ...cellsOf(unit)]),
        ]
      : [
          ['GROUP', ...HEADINGS],
          ...byGroup(units).map(([group, sum]) => [nameOf(offline, group), ...cellsOf(sum)]),
        ];
  const total = (figure: 'fileBytes' | 'freeBytes' | 'indexBytes' | 'damagedBlocks'): number =>
    shards.reduce((sum, shard) => sum + shard[figure], 0);
  const damaged = total('damagedBlocks');
  return (
    formatTable(rows, right) +
    `block files ${formatBytes(total('fileBytes'))}, ${formatBytes(total('freeBytes'))} of them free; ` +
    `index ${formatBytes(total('indexBytes'))} of memory\n` +
    (damaged === 0
      ? ''
      : `${formatCount(damaged)} damaged blocks are left out: \`millrace verify\` names them\n`)
  );
}

function byGroup(units: readonly UnitFigures[]): [group: number, sum: Figures][] {
  const sums = new Map<number, Figures>();
  for (const { group, partition: _partition, ...unit } of units) {
    const sum = sums.get(group);
    if (sum === undefined) {
      sums.set(group, { ...unit });
      continue;
    }
    sum.rows += unit.rows;
    sum.versions += unit.versions;
    sum.liveBytes += unit.liveBytes;
    sum.deadBytes += unit.deadBytes;
    sum.oldestEventMicros = Math.min(sum.oldestEventMicros, unit.oldestEventMicros);
    sum.levelZeroBlocks += unit.levelZeroBlocks;
    sum.levelOneBlocks += unit.levelOneBlocks;
  }
  return [...sums];
}
