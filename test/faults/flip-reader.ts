/**
 * Reads a shard of which a bit was flipped, in a process of its own, for damage in LMDB's tree may end whoever reads it.
 *
 *   node flip-reader.js DIRECTORY        says one JSON line: what verification found, and what lookups answer
 */
import { nodeDisk } from '../../server/node-environment.ts';
import { loadChecksum, openBlockStore, verifyBlocks, verifyFiles } from '../../storage/index.ts';
import { TestShard } from '../support/shard.ts';
import { FLIP_GROUPS, FLIP_KEYS, FLIP_OPTIONS } from './flip-image.ts';

/** A row's text, null for a missing one, or the code of the error that its lookup ended with. */
export type FlipAnswer = string | null | { readonly code: string };

export interface FlipReport {
  readonly findings: readonly string[];
  /** Why the shard did not open, or null. */
  readonly refusal: string | null;
  /** By group, then key. */
  readonly answers: readonly FlipAnswer[];
}

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function findingsOf(directory: string): Promise<string[]> {
  const findings: string[] = [];
  const place = { directory, shardIndex: 0, shardCount: 1, pause };
  const store = openBlockStore({ directory: `${directory}/blocks`, disk: nodeDisk, readOnly: true });
  try {
    const onFinding = ({ reason }: { reason: string }): void => void findings.push(reason);
    const { checkpoint } = await verifyBlocks({ ...place, store, onFinding, onProgress: () => undefined });
    const { journalPosition } = checkpoint;
    const { journalSegmentBytes } = FLIP_OPTIONS;
    const files = await verifyFiles({ ...place, disk: nodeDisk, journalPosition, journalSegmentBytes });
    for (const fault of [files.journalFault, files.indexFault]) if (fault !== undefined) findings.push(fault);
  } finally {
    await store.close();
  }
  return findings;
}

async function report(directory: string): Promise<FlipReport> {
  await loadChecksum();
  let findings: string[] = [];
  try {
    findings = await findingsOf(directory);
  } catch (error) {
    findings.push(String(error));
  }
  let shard: TestShard;
  try {
    shard = await new TestShard(directory, FLIP_OPTIONS).open();
  } catch (error) {
    return { findings, refusal: String(error), answers: [] };
  }
  const answers: FlipAnswer[] = [];
  for (const group of FLIP_GROUPS) {
    for (const key of FLIP_KEYS) {
      try {
        answers.push(shard.get(group, [key])[0] ?? null);
      } catch (error) {
        answers.push({ code: String((error as { code?: unknown }).code) });
      }
    }
  }
  return { findings, refusal: null, answers };
}

process.stdout.write(`${JSON.stringify(await report(process.argv[2] as string))}\n`);
process.exit(0);
