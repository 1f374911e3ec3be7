/**
 * `millrace scan`: every row of a group, the latest or as of a moment, from all shards at once, as Arrow, JSON lines or CSV.
 *
 * Promises: what `--out` names is either a whole scan or what was there before (it is written aside and renamed when done); Arrow is a
 * valid IPC file and is written undecoded; progress and the figures go to stderr, so that stdout may be the rows.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Millrace, MillraceError, type ScanOptions } from '../../client/index.ts';
import { messageOf, ServerError } from '../server-error.ts';
import { ArrowFileWriter, type ByteSink } from './arrow-file.ts';
import {
  type ConnectionOptions,
  EXIT_INTERRUPTED,
  interruptible,
  withClient,
  withConnection,
} from './connection.ts';
import { formatBytes, formatCount } from './figures.ts';
import { columnsOf, csvHeader, csvLines, jsonLines } from './row-text.ts';
import { ScanProgress } from './scan-progress.ts';
import { momentArgument } from './time-argument.ts';
import { isoMicros } from './value-text.ts';

type Format = 'arrow' | 'jsonl' | 'csv';

interface Options extends ConnectionOptions {
  readonly format: Format;
  readonly out?: string;
  readonly columns?: readonly string[];
  readonly partitions?: readonly [number, number];
  readonly asOf?: number;
  readonly readPoint?: number;
  readonly since?: number;
  readonly plain?: boolean;
}

export function command(): Command {
  return withConnection(new Command('scan'))
    .description('read every row of a group: a training read')
    .argument('<GROUP>', 'the feature group')
    .addOption(
      new Option('--format <FORMAT>', 'how rows are written')
        .choices(['arrow', 'jsonl', 'csv'])
        .default('jsonl'),
    )
    .option('--out <FILE>', 'where to; the standard output by default')
    .option('--columns <NAMES>', 'only these columns, separated by commas', (text) =>
      text.split(',').map((s) => s.trim()),
    )
    .option(
      '--partitions <FROM-TO>',
      'only partitions FROM up to, not including, TO, of 4096',
      partitionRange,
    )
    .option('--as-of <MOMENT>', 'rows as they were at this event time, late events included', momentArgument)
    .option(
      '--read-point <MOMENT>',
      'nothing committed after this; with --as-of, a scan that can be repeated exactly',
      momentArgument,
    )
    .option('--since <MOMENT>', 'only rows whose version was committed after this', momentArgument)
    .option('--plain', 'no rewritten progress line')
    .addHelpText(
      'after',
      '\nA moment is ISO 8601 (UTC without a zone) or microseconds since 1970. A scan as of a moment says which read point it\nwent by: with both, it can be repeated while the history that the group retains reaches back so far.\n' +
        '\nRows come in no particular order. Int64 values beyond 2^53 are strings in JSON.\n' +
        '\nExample:\n  millrace scan flight --format arrow --out flight.arrow\n  millrace scan airport --format csv',
    )
    .action(async (group: string, options: Options) => {
      process.exitCode = await withClient(options, (client) => scan(client, group, options));
    });
}

function partitionRange(text: string): [number, number] {
  const match = /^(\d{1,4})-(\d{1,4})$/.exec(text);
  if (match === null) throw new InvalidArgumentError('Two numbers, as in 0-2048.');
  return [Number(match[1]), Number(match[2])];
}

async function scan(client: Millrace, name: string, options: Options): Promise<number> {
  if (options.format === 'arrow' && options.out === undefined && process.stdout.isTTY) {
    throw new MillraceError('USAGE', 'Arrow is binary: name a file with --out, or send it to a program');
  }
  // A group that is not there should not leave an empty file.
  await client.group(name);
  return interruptible(async (signal) => {
    const output = options.out === undefined ? new StandardOutput() : await OutputFile.create(options.out);
    const progress = new ScanProgress(process.stderr, name, options.plain === true);
    let history = '';
    try {
      const { columns, partitions, asOf, readPoint, since } = options;
      const scanOptions: ScanOptions = {
        signal,
        ...(columns === undefined ? {} : { columns }),
        ...(partitions === undefined ? {} : { partitions: [partitions] }),
        ...(asOf === undefined ? {} : { asOf, readPoint: readPoint ?? (await client.readPoint()) }),
        ...(readPoint === undefined ? {} : { readPoint }),
        ...(since === undefined ? {} : { since }),
      };
      if (scanOptions.readPoint !== undefined) {
        const moment = asOf === undefined ? '' : `as of ${isoMicros(asOf)}, `;
        history = `; ${moment}read point ${String(scanOptions.readPoint)}`;
      }
      const copy = options.format === 'arrow' ? copyArrow : copyText;
      await copy(client, name, options.format, scanOptions, output, progress);
      await output.finish();
    } catch (error) {
      progress.end();
      await output.discard();
      // The reader of a pipe has read enough, as `head` does.
      if ((error as NodeJS.ErrnoException).code === 'EPIPE') return 0;
      if (!signal.aborted) throw error;
      process.stderr.write('interrupted: nothing is written\n');
      return EXIT_INTERRUPTED;
    }
    progress.end();
    process.stderr.write(`${summary(progress, output.bytes, options.out)}${history}\n`);
    return 0;
  });
}

function summary(progress: ScanProgress, bytes: number, out: string | undefined): string {
  const { rows, seconds } = progress;
  const rate = `${formatCount(rows / seconds)} rows/s, ${(bytes / seconds / 1e9).toFixed(2)} GB/s`;
  const where = out === undefined ? '' : ` to ${out}`;
  return `scanned ${formatCount(rows)} rows, ${formatBytes(bytes)}, in ${seconds.toFixed(2)} s: ${rate}${where}`;
}

async function copyArrow(
  client: Millrace,
  name: string,
  _format: Format,
  options: ScanOptions,
  output: Output,
  progress: ScanProgress,
): Promise<void> {
  const writer = new ArrowFileWriter(output);
  for await (const part of client.scanBytes(name, options)) {
    await writer.write(part);
    progress.add(part.rows, part.bytes.length);
  }
  await writer.finish();
}

async function copyText(
  client: Millrace,
  name: string,
  format: Format,
  options: ScanOptions,
  output: Output,
  progress: ScanProgress,
): Promise<void> {
  const group = await client.group(name);
  const batches = client.scan(group, options);
  const schema = await batches.schema();
  if (schema === null) return;
  const columns = columnsOf(
    group,
    schema.fields.map((field) => field.name),
  );
  if (format === 'csv') await output.write(Buffer.from(csvHeader(columns)));
  for await (const batch of batches) {
    const text = Buffer.from(format === 'csv' ? csvLines(batch, columns) : jsonLines(batch, columns));
    await output.write(text);
    progress.add(batch.numRows, text.length);
  }
}

/** Where a scan goes. */
interface Output extends ByteSink {
  /** Written so far. */
  readonly bytes: number;
  finish(): Promise<void>;
  /** Leaves nothing of an unfinished scan where that is possible. */
  discard(): Promise<void>;
}

class StandardOutput implements Output {
  bytes = 0;

  constructor() {
    // Each write reports its own failure; without a listener the stream would throw the same again at nobody.
    process.stdout.on('error', () => {});
  }

  write(bytes: Uint8Array): Promise<void> {
    this.bytes += bytes.length;
    return new Promise((resolve, reject) => {
      process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  async finish(): Promise<void> {}

  async discard(): Promise<void> {}
}

class OutputFile implements Output {
  bytes = 0;
  private readonly path: string;
  private readonly aside: string;
  private readonly handle: FileHandle;

  private constructor(path: string, aside: string, handle: FileHandle) {
    this.path = path;
    this.aside = aside;
    this.handle = handle;
  }

  static async create(path: string): Promise<OutputFile> {
    const aside = `${path}.partial`;
    try {
      return new OutputFile(path, aside, await open(aside, 'w'));
    } catch (error) {
      throw new ServerError('FILE_UNREADABLE', `${path} cannot be written: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.handle.write(bytes, at, bytes.length - at);
      at += bytesWritten;
    }
    this.bytes += bytes.length;
  }

  async finish(): Promise<void> {
    await this.handle.close();
    await rename(this.aside, this.path);
  }

  async discard(): Promise<void> {
    await this.handle.close().catch(() => {});
    await rm(this.aside, { force: true });
  }
}
