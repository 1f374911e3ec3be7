/**
 * Writes the parts of a scan as an Arrow IPC file: the messages as they came, between the file format's magic and its footer.
 *
 *   "ARROW1" 0 0 | schema message | record batch messages … | end of stream | footer | i32 footer bytes | "ARROW1"
 *   a message: 0xffffffff | i32 metadata bytes | metadata, padded to 8 | body
 *
 * Promises: what `finish` leaves is a whole file; no value is decoded and no batch is copied, so writing costs what the disk costs.
 * Only forward writes, so the output may be a pipe.
 */
import { RecordBatchReader } from 'apache-arrow';
import { FileBlock, Footer } from 'apache-arrow/ipc/metadata/file';
import { Message } from 'apache-arrow/ipc/metadata/message';
import type { ScanPart } from '../../client/index.ts';
import { ServerError } from '../server-error.ts';

/** Where the bytes go: a file or the standard output. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
}

const MAGIC: Uint8Array = Buffer.from('ARROW1');
const PREFIX_BYTES = 8;
const CONTINUATION = 0xffff_ffff;

export class ArrowFileWriter {
  private readonly sink: ByteSink;
  private readonly blocks: FileBlock[] = [];
  private schemaBytes: Uint8Array | undefined;
  private position = 0;

  constructor(sink: ByteSink) {
    this.sink = sink;
  }

  /** Takes the parts in order: the schema's, those with rows, the end of the stream. */
  async write(part: ScanPart): Promise<void> {
    if (this.schemaBytes === undefined) {
      // The part's buffer is the client's to reuse; the schema is needed again for the footer.
      this.schemaBytes = part.bytes.slice();
      await this.put(Buffer.concat([MAGIC, Buffer.alloc(2)]));
    } else if (part.rows > 0) {
      this.noteBlocks(part.bytes);
    }
    await this.put(part.bytes);
  }

  async finish(): Promise<void> {
    if (this.schemaBytes === undefined) throw new ServerError('INTERNAL', 'the scan gave no schema');
    const { schema } = RecordBatchReader.from([this.schemaBytes]).open();
    const footer = Footer.encode(new Footer(schema, undefined, this.blocks, []));
    const tail = Buffer.alloc(4 + MAGIC.length);
    tail.writeInt32LE(footer.byteLength, 0);
    tail.set(MAGIC, 4);
    await this.put(footer);
    await this.put(tail);
  }

  /** Notes where the messages lie that begin at the present position. */
  private noteBlocks(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length; ) {
      const metadataBytes = at + PREFIX_BYTES <= bytes.length ? view.getInt32(at + 4, true) : -1;
      if (metadataBytes <= 0 || view.getUint32(at, true) !== CONTINUATION) throw malformed();
      const metadataEnd = at + PREFIX_BYTES + metadataBytes;
      const message = Message.decode(bytes.subarray(at + PREFIX_BYTES, metadataEnd));
      this.blocks.push(new FileBlock(PREFIX_BYTES + metadataBytes, message.bodyLength, this.position + at));
      at = metadataEnd + message.bodyLength;
      if (at > bytes.length) throw malformed();
    }
  }

  private async put(bytes: Uint8Array): Promise<void> {
    await this.sink.write(bytes);
    this.position += bytes.length;
  }
}

function malformed(): ServerError {
  return new ServerError('INTERNAL', 'the scan gave bytes that are no whole Arrow messages');
}
