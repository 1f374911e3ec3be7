/**
 * `millrace repair`: takes out of a data directory what cannot be read, and says what that is.
 *
 * I1  Without --drop-corrupt nothing is changed: it says what would be dropped. The safer one is what happens by itself.
 * I2  What can be read stays. What is dropped is printed block by block, with group, partitions and records as far as they are known.
 * I3  A damaged journal, checkpoint, state of compaction or catalog is not dropped: without it nobody can say which of the rest
 *     counts. That is what backups are for.
 */
import { Command } from 'commander';
import {
  openBlockStore,
  planRepair,
  type RepairPlan,
  removeIndexCheckpoint,
  repairBlocks,
} from '../../storage/index.ts';
import { nodeDisk } from '../node-environment.ts';
import { type OfflineDirectory, openOffline } from './offline-directory.ts';
import { describeFinding, findShardFaults, type ShardFindings } from './shard-findings.ts';
import { WorkProgress } from './work-progress.ts';

interface RepairOptions {
  readonly data: string;
  readonly dropCorrupt?: boolean;
}

interface ShardRepair {
  readonly shard: number;
  readonly found: ShardFindings;
  readonly plan: RepairPlan;
}

export function command(): Command {
  return new Command('repair')
    .description(
      'take out of a data directory what cannot be read, while no node runs on it, and say what that is',
    )
    .requiredOption('--data <DIR>', 'data directory')
    .option('--drop-corrupt', 'drop it; without this, only say what would be dropped')
    .addHelpText(
      'after',
      '\nExits 1 when there is damage that it has not mended.\n\n' +
        'Example:\n  millrace repair --data ./data\n  millrace repair --data ./data --drop-corrupt',
    )
    .action(async (options: RepairOptions) => {
      process.exitCode = await repair(options);
    });
}

async function repair(options: RepairOptions): Promise<number> {
  const offline = openOffline(options.data);
  try {
    const shards = await planShards(offline);
    const say = (line: string): void => void process.stdout.write(`${line}\n`);
    if (offline.catalogFault !== undefined) say(`catalog: ${offline.catalogFault}`);
    for (const { shard, plan } of shards)
      for (const line of linesOf(plan, offline)) say(`shard ${shard}: ${line}`);
    const beyond = shards.some(({ plan }) => plan.beyond.length > 0) || offline.catalogFault !== undefined;
    const damaged = shards.filter(({ found }) => found.findings.length > 0);
    if (damaged.length === 0 && !beyond) {
      say(`${offline.directory.path}: all is well`);
      return 0;
    }
    if (beyond) {
      say('nothing was changed: not all of this can be repaired by dropping blocks; restore a backup');
      return 1;
    }
    if (options.dropCorrupt !== true) {
      say('nothing was changed: --drop-corrupt does it');
      return 1;
    }
    for (const { shard, found, plan } of damaged) await carryOut(offline, shard, found, plan);
    say(`${offline.directory.path}: repaired`);
    return 0;
  } finally {
    offline.directory.close();
  }
}

async function planShards({ directory }: OfflineDirectory): Promise<ShardRepair[]> {
  const progress = new WorkProgress(process.stderr);
  const shards: ShardRepair[] = [];
  for (let shard = 0; shard < directory.shardCount; shard++) {
    progress.begin(`shard ${shard}`);
    try {
      const show = (done: number, total: number): void => progress.show(done, total);
      const found = await findShardFaults(directory.shardDirectory(shard), shard, directory.shardCount, show);
      shards.push({ shard, found, plan: planRepair(found.findings) });
    } finally {
      progress.end();
    }
  }
  return shards;
}

function* linesOf(
  { drops, relisted, beyond }: RepairPlan,
  { groupNames }: OfflineDirectory,
): Generator<string> {
  for (const finding of drops) yield `drop ${describeFinding(finding, groupNames)}`;
  for (const finding of relisted) yield `keep ${describeFinding(finding, groupNames)}; it is listed anew`;
  for (const finding of beyond) yield `beyond repair: ${describeFinding(finding, groupNames)}`;
}

async function carryOut(
  { directory }: OfflineDirectory,
  shard: number,
  { blocks }: ShardFindings,
  plan: RepairPlan,
): Promise<void> {
  const path = directory.shardDirectory(shard);
  // Before the blocks change: an index checkpoint that knows of what is gone must never be found beside the rest.
  removeIndexCheckpoint(nodeDisk, path);
  const store = openBlockStore({ directory: `${path}/blocks`, disk: nodeDisk });
  try {
    await repairBlocks(store, plan, blocks);
  } finally {
    await store.close();
  }
}
