/**
 * Everything that is wrong with a shard's files, as `verify` prints it and `repair` acts on it.
 */
import {
  type Finding,
  loadChecksum,
  openBlockStore,
  type VerifiedBlocks,
  type VerifiedFiles,
  verifyBlocks,
  verifyFiles,
} from '../../storage/index.ts';
import { nodeDisk } from '../node-environment.ts';
import { formatCount } from './figures.ts';
import { pause } from './offline-directory.ts';

export interface ShardFindings {
  readonly blocks: VerifiedBlocks;
  readonly files: VerifiedFiles;
  readonly findings: readonly Finding[];
}

/** Of a journal, whose segments are of another size only in tests. */
const JOURNAL_SEGMENT_BYTES: number = 32 * 1024 * 1024;

export async function findShardFaults(
  directory: string,
  shardIndex: number,
  shardCount: number,
  onProgress: (doneBytes: number, totalBytes: number) => void,
): Promise<ShardFindings> {
  await loadChecksum();
  const findings: Finding[] = [];
  const onFinding = (finding: Finding): void => void findings.push(finding);
  const store = openBlockStore({
    directory: `${directory}/blocks`,
    disk: nodeDisk,
    readOnly: true,
    readAhead: true,
  });
  let blocks: VerifiedBlocks;
  try {
    blocks = await verifyBlocks({ store, shardIndex, shardCount, pause, onProgress, onFinding });
  } finally {
    await store.close();
  }
  const files = await verifyFiles({
    disk: nodeDisk,
    directory,
    shardIndex,
    shardCount,
    journalPosition: blocks.checkpoint.journalPosition,
    journalSegmentBytes: JOURNAL_SEGMENT_BYTES,
    pause,
  });
  const whole = { keyHi: 0, keyLo: 0, units: undefined, records: 0 };
  if (files.journalFault !== undefined)
    findings.push({ ...whole, kind: 'journal', reason: files.journalFault });
  if (files.indexFault !== undefined) {
    const reason = `the index checkpoint is damaged, and a start reads all blocks instead: ${files.indexFault}`;
    findings.push({ ...whole, kind: 'index', reason });
  }
  return { blocks, files, findings };
}

/** `block 00…05, level 0, group flight, partitions 3 to 9, 14 records: checksum differs` */
export function describeFinding(finding: Finding, groupNames: ReadonlyMap<number, string>): string {
  const { kind, keyHi, keyLo, units, records, reason } = finding;
  if (kind === 'journal' || kind === 'index') return reason;
  const hex = (word: number): string => word.toString(16).padStart(8, '0');
  const parts = [`${kind === 'meta' || kind === 'directory' ? kind : 'block'} ${hex(keyHi)}${hex(keyLo)}`];
  if (kind !== 'meta' && kind !== 'directory') parts.push(keyHi >>> 20 === 0 ? 'level 0' : 'level 1');
  if (units !== undefined) {
    const { group, partitionMin, partitionMax } = units;
    parts.push(`group ${groupNames.get(group) ?? group}`);
    parts.push(
      partitionMin === partitionMax
        ? `partition ${partitionMin}`
        : `partitions ${partitionMin} to ${partitionMax}`,
    );
  }
  if (records > 0)
    parts.push(`${formatCount(records)} ${records === 1 ? 'record' : 'records'} by its header`);
  return `${parts.join(', ')}: ${reason}`;
}
