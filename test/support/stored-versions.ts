/**
 * Every version that a data directory holds, read offline from its blocks and journals: what backup, restore and reshard must not
 * change. Nothing of what is under test reads it but the source of a reshard, which has tests of its own.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeDisk } from '../../server/node-environment.ts';
import { nextRecord, recordsEnd, recordsStart } from '../../storage/block.ts';
import { type CompactionState, isConsumed } from '../../storage/compaction-state.ts';
import { readRecordBytes, readRecordDigestLo, readRecordGroup, readRecordLsn } from '../../storage/record.ts';
import type { RecordMover } from '../../storage/record-mover.ts';
import { openShardSource } from '../../storage/shard-source.ts';
import { storedKind, ValueVerifier } from '../../storage/stored-value.ts';

/** Versions as text, `partition/LSN/record bytes`, sorted; two copies of one version are one. */
export async function storedVersions(dataDirectory: string): Promise<string[]> {
  const node = JSON.parse(readFileSync(join(dataDirectory, 'node.json'), 'utf8')) as {
    shardCount: number;
    generation?: number;
  };
  const suffix = (node.generation ?? 0) === 0 ? '' : `.${node.generation}`;
  const versions = new Set<string>();
  for (let index = 0; index < node.shardCount; index++) {
    const directory = join(dataDirectory, `shard-${index}${suffix}`);
    const source = await openShardSource({ directory, index, disk: nodeDisk, onProgress: () => undefined });
    const collector = new Collector(versions, index, node.shardCount);
    await source.move(collector as unknown as RecordMover);
    await source.close();
  }
  return [...versions].sort();
}

/** Stands where a mover does, and keeps texts. */
class Collector {
  private readonly versions: Set<string>;
  private readonly index: number;
  private readonly shardCount: number;
  private readonly verifier = new ValueVerifier();

  constructor(versions: Set<string>, index: number, shardCount: number) {
    this.versions = versions;
    this.index = index;
    this.shardCount = shardCount;
  }

  addValue(state: CompactionState, keyHi: number, keyLo: number, bytes: Uint8Array): boolean {
    const arena = this.verifier.block(keyHi, keyLo, bytes);
    const end = recordsEnd(arena, 0);
    for (let at = recordsStart(0); at < end; at = nextRecord(arena, at)) {
      const group = readRecordGroup(arena.view, at);
      const partition = readRecordDigestLo(arena.view, at) & 4095;
      if (storedKind(keyHi) === 'level-0 block' && isConsumed(state, keyLo, group, partition)) continue;
      this.add(arena.view, arena.bytes, at);
    }
    return false;
  }

  addFrame(bytes: Uint8Array, from: number, end: number): boolean {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = from; at < end; at += readRecordBytes(view, at)) this.add(view, bytes, at);
    return false;
  }

  async drain(): Promise<void> {}

  private add(view: DataView, bytes: Uint8Array, at: number): void {
    const partition = readRecordDigestLo(view, at) & 4095;
    if (partition % this.shardCount !== this.index) {
      throw new Error(`partition ${partition} in shard ${this.index} of ${this.shardCount}`);
    }
    const record = Buffer.from(bytes.buffer, bytes.byteOffset + at, readRecordBytes(view, at));
    this.versions.add(`${partition}/${readRecordLsn(view, at)}/${record.toString('base64')}`);
  }
}
