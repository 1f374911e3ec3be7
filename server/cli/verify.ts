/**
 * `millrace verify`: reads everything in a data directory and says what is wrong with it.
 *
 * I1  Nothing is changed, and no node may run: the directory is locked meanwhile.
 * I2  It exits 0 when all is well, 1 when anything is not.
 * I3  The reading is done by a process of its own: damage in the pages of LMDB's own tree can end whoever reads them, and is told
 *     then as what it is.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Command } from 'commander';
import type { Finding } from '../../storage/index.ts';
import { messageOf } from '../server-error.ts';
import { formatBytes, formatCount } from './figures.ts';
import { type OfflineDirectory, openOffline } from './offline-directory.ts';
import { describeFinding, findShardFaults } from './shard-findings.ts';
import { WorkProgress } from './work-progress.ts';

interface VerifyOptions {
  readonly data: string;
  readonly json?: boolean;
}

interface ShardReport {
  readonly shard: number;
  readonly blocks: number;
  readonly records: number;
  readonly bytes: number;
  readonly unfinishedBlocks: number;
  readonly journalRecords: number;
  readonly findings: readonly Finding[];
}

/** Set in the process that reads. */
const READER_VARIABLE = 'MILLRACE_VERIFY_READER';

export function command(): Command {
  return new Command('verify')
    .description('read everything in a data directory, while no node runs on it, and say what is damaged')
    .requiredOption('--data <DIR>', 'data directory')
    .option('--json', 'what was read and found, as JSON')
    .addHelpText('after', '\nExits 1 when anything is damaged.\n\nExample:\n  millrace verify --data ./data')
    .action(async (options: VerifyOptions) => {
      process.exitCode =
        process.env[READER_VARIABLE] === undefined ? await watchReader() : await verify(options);
    });
}

async function watchReader(): Promise<number> {
  const child = spawn(process.execPath, process.argv.slice(1), {
    stdio: 'inherit',
    env: { ...process.env, [READER_VARIABLE]: '1' },
  });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGINT', pass);
  process.on('SIGTERM', pass);
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  if (status !== null) return status;
  const isCrash = signal === 'SIGSEGV' || signal === 'SIGBUS' || signal === 'SIGABRT';
  const reason = isCrash
    ? "pages of a block store's tree are damaged: reading them ended the process"
    : 'stopped';
  process.stderr.write(`millrace verify: ${reason} (${signal})\n`);
  return 1;
}

async function verify(options: VerifyOptions): Promise<number> {
  const offline = openOffline(options.data);
  try {
    const shards = await verifyShards(offline);
    const faults = shards.reduce((sum, { findings }) => sum + findings.length, 0);
    const count = faults + (offline.catalogFault === undefined ? 0 : 1);
    if (options.json === true) {
      const report = {
        directory: offline.directory.path,
        faults: count,
        catalog: offline.catalogFault ?? null,
        shards,
      };
      process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    } else process.stdout.write(shownReport(offline, shards, count));
    return count === 0 ? 0 : 1;
  } finally {
    offline.directory.close();
  }
}

async function verifyShards({ directory }: OfflineDirectory): Promise<ShardReport[]> {
  const progress = new WorkProgress(process.stderr);
  const reports: ShardReport[] = [];
  for (let shard = 0; shard < directory.shardCount; shard++) {
    progress.begin(`shard ${shard}`);
    try {
      const show = (done: number, total: number): void => progress.show(done, total);
      const found = await findShardFaults(directory.shardDirectory(shard), shard, directory.shardCount, show);
      const { blocks, records, bytes, unfinished } = found.blocks;
      const { journalRecords } = found.files;
      const { findings } = found;
      reports.push({ shard, blocks, records, bytes, unfinishedBlocks: unfinished, journalRecords, findings });
    } catch (error) {
      // The store could not be opened, or its tree not be walked: what else there is to say is in the other shards.
      const finding = {
        kind: 'meta',
        keyHi: 0,
        keyLo: 0,
        units: undefined,
        records: 0,
        reason: messageOf(error),
      } as const;
      reports.push({
        shard,
        blocks: 0,
        records: 0,
        bytes: 0,
        unfinishedBlocks: 0,
        journalRecords: 0,
        findings: [finding],
      });
    } finally {
      progress.end();
    }
  }
  return reports;
}

function shownReport(offline: OfflineDirectory, shards: readonly ShardReport[], faults: number): string {
  const lines: string[] = [];
  if (offline.catalogFault !== undefined) lines.push(`catalog: ${offline.catalogFault}`);
  for (const { shard, blocks, records, bytes, unfinishedBlocks, journalRecords, findings } of shards) {
    const left =
      unfinishedBlocks === 0 ? '' : `, ${formatCount(unfinishedBlocks)} blocks of an unfinished flush`;
    lines.push(
      `shard ${shard}: ${formatCount(blocks)} blocks, ${formatBytes(bytes)}, ${formatCount(records)} versions; ` +
        `${formatCount(journalRecords)} in the journal${left}`,
    );
    for (const finding of findings) lines.push(`  ${describeFinding(finding, offline.groupNames)}`);
  }
  const { path } = offline.directory;
  lines.push(
    faults === 0
      ? `${path}: all is well`
      : `${path}: ${faults} ${faults === 1 ? 'fault' : 'faults'}; \`millrace repair --data ${path}\` says what a repair would drop`,
  );
  return `${lines.join('\n')}\n`;
}
