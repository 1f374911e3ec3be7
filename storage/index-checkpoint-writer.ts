/**
 * Writes one index checkpoint while the shard serves: tables are copied a few at a time, between requests.
 *
 *   header ─▶ values ─▶ tables of partition 0, 1, 2, … ─▶ end        `unfinished`, then renamed to `checkpoint`
 *
 * I1  A turn copies one section, half a megabyte: (m) 0.6 ms of processor time, checksum included. The next one begins when that one is
 *     on the device, so a checkpoint never has more than a section in flight beside the journal's commits.
 * I2  Tables are captured at different moments. That is no harm: whatever changed after the header's numbers were taken is in a block
 *     from those numbers on, or in the journal, and a start applies it again.
 * I3  The file takes its final name when every byte of it is durable. Until then, and if anything fails, the checkpoint before it stays.
 *
 * When to begin, and with which numbers, is index-checkpoints.ts.
 */
import type { Disk, DiskFile } from './environment.ts';
import {
  encodeIndexCheckpointHeader,
  finishSection,
  type IndexCheckpointHeader,
  SECTION_END,
  SECTION_HEADER_BYTES,
  SECTION_TABLES,
  TABLE_HEADER_BYTES,
} from './index-checkpoint-format.ts';
import { rangeEnd } from './index-runs.ts';
import type { IndexTable } from './index-table.ts';
import { INDEX_CHECKPOINT_SECTION_BYTES, INDEX_CHECKPOINT_SLICE_BYTES, INDEX_ENTRY_BYTES } from './limits.ts';

export const INDEX_CHECKPOINT_NAME = 'checkpoint';
export const INDEX_CHECKPOINT_UNFINISHED_NAME = 'unfinished';

const SPREADS = 2 ** 32;

/** A value of another part of the store that is kept with the index: opaque here, cut into sections. */
export interface CheckpointValue {
  readonly kind: number;
  readonly bytes: Uint8Array;
}

export interface IndexCheckpointWriterOptions {
  readonly disk: Disk;
  /** The shard's `index/`, which exists. */
  readonly directory: string;
  readonly index: IndexTable;
  readonly localPartitionCount: number;
}

export class IndexCheckpointWriter {
  private readonly options: IndexCheckpointWriterOptions;
  private readonly section: Uint8Array = new Uint8Array(
    SECTION_HEADER_BYTES + INDEX_CHECKPOINT_SECTION_BYTES,
  );
  private readonly view: DataView = new DataView(this.section.buffer);
  private readonly words: Uint32Array = new Uint32Array(this.section.buffer);
  private isAbandoned = false;
  private position = 0;
  private sections = 0;
  private entries = 0;

  constructor(options: IndexCheckpointWriterOptions) {
    this.options = options;
  }

  /** The file will not take its final name any more. */
  abandon(): void {
    this.isAbandoned = true;
  }

  /** Answers the bytes written, or 0 when it was abandoned. Rejects with what the disk said. */
  async write(header: IndexCheckpointHeader, values: readonly CheckpointValue[]): Promise<number> {
    const { disk, directory } = this.options;
    const unfinished = `${directory}/${INDEX_CHECKPOINT_UNFINISHED_NAME}`;
    const file = await disk.createDurable(unfinished, 0);
    try {
      await this.append(file, encodeIndexCheckpointHeader(header));
      for (const value of values) await this.writeValue(file, value);
      await this.writeTables(file);
      if (!this.isAbandoned) await this.writeSection(file, SECTION_END, 0, 0, this.entries);
    } catch (error) {
      this.isAbandoned = true;
      throw error;
    } finally {
      file.close();
      if (this.isAbandoned) await disk.removeLater(unfinished);
    }
    if (this.isAbandoned) return 0;
    await disk.rename(unfinished, `${directory}/${INDEX_CHECKPOINT_NAME}`);
    return this.position;
  }

  private async writeValue(file: DiskFile, value: CheckpointValue): Promise<void> {
    let at = 0;
    do {
      const part = value.bytes.subarray(at, at + INDEX_CHECKPOINT_SLICE_BYTES);
      const bodyBytes = (part.length + 7) & ~7;
      this.section.fill(0, SECTION_HEADER_BYTES, SECTION_HEADER_BYTES + bodyBytes);
      this.section.set(part, SECTION_HEADER_BYTES);
      await this.writeSection(file, value.kind, bodyBytes, part.length, at);
      at += part.length;
    } while (at < value.bytes.length && !this.isAbandoned);
  }

  private async writeTables(file: DiskFile): Promise<void> {
    const { index, localPartitionCount } = this.options;
    let at = SECTION_HEADER_BYTES;
    let tables = 0;
    for (let partition = 0; partition < localPartitionCount; partition += 1) {
      for (let spread = 0; spread < SPREADS && !this.isAbandoned; ) {
        // Asked again after each wait: the table may have split.
        const bytes = TABLE_HEADER_BYTES + index.tableRows(partition, spread) * INDEX_ENTRY_BYTES;
        if (bytes > INDEX_CHECKPOINT_SECTION_BYTES) {
          throw new Error(`a table of the index takes ${bytes} bytes, more than a section holds`);
        }
        const used = at - SECTION_HEADER_BYTES;
        if (used + bytes > INDEX_CHECKPOINT_SECTION_BYTES || used >= INDEX_CHECKPOINT_SLICE_BYTES) {
          await this.writeSection(file, SECTION_TABLES, used, tables, 0);
          at = SECTION_HEADER_BYTES;
          tables = 0;
          continue;
        }
        const depth = index.tableDepth(partition, spread);
        const end = this.copyTable(partition, spread, depth, at);
        if (end > at) tables += 1;
        at = end;
        spread = rangeEnd(spread, depth);
      }
    }
    if (at > SECTION_HEADER_BYTES && !this.isAbandoned) {
      await this.writeSection(file, SECTION_TABLES, at - SECTION_HEADER_BYTES, tables, 0);
    }
  }

  /** Answers where the table ends in the section; an empty one takes no room. */
  private copyTable(partition: number, spread: number, depth: number, at: number): number {
    const { index } = this.options;
    const rows = index.tableRows(partition, spread);
    if (rows === 0) return at;
    const word = at >>> 2;
    this.words[word] = partition;
    this.words[word + 1] = spread;
    this.words[word + 2] = depth;
    this.words[word + 3] = rows;
    this.entries += rows;
    return index.copyTable(partition, spread, this.words, word + TABLE_HEADER_BYTES / 4) * 4;
  }

  private async writeSection(
    file: DiskFile,
    kind: number,
    bodyBytes: number,
    count: number,
    offset: number,
  ): Promise<void> {
    finishSection(this.section, this.view, { kind, number: this.sections, bodyBytes, count, offset });
    this.sections += 1;
    await this.append(file, this.section.subarray(0, SECTION_HEADER_BYTES + bodyBytes));
  }

  private append(file: DiskFile, bytes: Uint8Array): Promise<void> {
    const { position } = this;
    this.position += bytes.length;
    return new Promise((resolve, reject) => {
      file.writev([bytes], position, (error) => (error === null ? resolve() : reject(error)));
    });
  }
}
