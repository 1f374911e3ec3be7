/**
 * From a path to a Source: finds out what the file is, by its first and last bytes before its name.
 *
 * Promises: a file that cannot be opened is FILE_UNREADABLE, one that is not what it should be FILE_FORMAT_INVALID, and the message says
 * what it looks like instead. The content wins over the extension: a Parquet file named .csv is read as Parquet.
 */
import { open, stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { ConnectorError, formatInvalid, messageOf } from '../connector-error.ts';
import { openArrow } from './arrow-source.ts';
import { openCsv } from './csv-source.ts';
import { openJsonLines } from './jsonl-source.ts';
import { openParquet } from './parquet-source.ts';
import type { Source, SourceFormat, SourceOptions } from './source.ts';

const OPENERS: Readonly<Record<SourceFormat, (path: string, options: SourceOptions) => Promise<Source>>> = {
  parquet: openParquet,
  csv: openCsv,
  jsonl: openJsonLines,
  arrow: openArrow,
};

/** Opens a file as what it is, or as `options.format`. Every error names the file. */
export async function openSource(path: string, options: SourceOptions): Promise<Source> {
  const probe = await probeFile(path);
  try {
    const format = decideFormat(path, probe, options.format);
    return await OPENERS[format](path, options);
  } catch (error) {
    throw named(error, path);
  }
}

/** The same error with the file's name before it. */
export function named(error: unknown, path: string): unknown {
  if (error instanceof ConnectorError) {
    return new ConnectorError(error.code, `${path}: ${error.message}`, { cause: error.cause });
  }
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (error instanceof Error && typeof code === 'string' && /^E[A-Z]+$/.test(code)) {
    return new ConnectorError('FILE_UNREADABLE', `${path}: ${error.message}`, { cause: error });
  }
  return error;
}

interface Probe {
  readonly head: Buffer;
  readonly tail: Buffer;
}

async function probeFile(path: string): Promise<Probe> {
  try {
    if ((await stat(path)).isDirectory())
      throw new ConnectorError('FILE_UNREADABLE', `${path}: is a directory`);
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      if (size === 0) throw formatInvalid(`${path}: is empty`);
      const head = Buffer.alloc(Math.min(size, 512));
      const tail = Buffer.alloc(Math.min(size, 8));
      await file.read(head, 0, head.length, 0);
      await file.read(tail, 0, tail.length, size - tail.length);
      return { head, tail };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof ConnectorError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const reason =
      code === 'ENOENT' ? 'no such file' : code === 'EACCES' ? 'permission denied' : messageOf(error);
    throw new ConnectorError('FILE_UNREADABLE', `${path}: ${reason}`, { cause: error });
  }
}

const EXTENSIONS: Readonly<Record<string, SourceFormat>> = {
  '.parquet': 'parquet',
  '.pq': 'parquet',
  '.csv': 'csv',
  '.tsv': 'csv',
  '.txt': 'csv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.json': 'jsonl',
  '.arrow': 'arrow',
  '.arrows': 'arrow',
  '.ipc': 'arrow',
  '.feather': 'arrow',
};

function decideFormat(path: string, probe: Probe, wanted: SourceFormat | undefined): SourceFormat {
  const { head } = probe;
  const found = formatOfMagic(probe);
  const byName = EXTENSIONS[extname(path).toLowerCase()];
  if (wanted !== undefined) {
    if (found !== undefined && found !== wanted)
      throw formatInvalid(`looks like ${found}, not the ${wanted} asked for`);
    if (found === undefined && isBinaryFormat(wanted)) throw notBinary(wanted, head);
    return wanted;
  }
  if (found !== undefined) return found;
  const stranger = formatOfStranger(head);
  if (stranger !== undefined) throw formatInvalid(stranger);
  if (byName !== undefined && isBinaryFormat(byName)) throw notBinary(byName, head);
  const looksBinary = head.includes(0);
  if (looksBinary)
    throw formatInvalid(
      'is neither Parquet nor Arrow, and no text: Parquet, CSV, JSON lines and Arrow are read',
    );
  if (byName !== undefined) return byName;
  if (looksLikeJson(head)) return 'jsonl';
  throw formatInvalid(
    'its name does not say what it is: name the format with --format csv, jsonl, parquet or arrow',
  );
}

function isBinaryFormat(format: SourceFormat): boolean {
  return format === 'parquet' || format === 'arrow';
}

function formatOfMagic({ head, tail }: Probe): SourceFormat | undefined {
  const start = head.toString('latin1', 0, 6);
  if (start.startsWith('PARE')) throw formatInvalid('is an encrypted Parquet file, which is not supported');
  if (start.startsWith('PAR1')) return 'parquet';
  if (start === 'ARROW1') {
    if (tail.toString('latin1', tail.length - 6) === 'ARROW1') return 'arrow';
    throw formatInvalid('begins as an Arrow file, but its end is missing: cut off, or still being written?');
  }
  // A stream begins with the continuation mark and the length of its schema message.
  return head.length >= 8 && head.readUInt32LE(0) === 0xffff_ffff ? 'arrow' : undefined;
}

/** What is wrong with a file of a kind that people do try to import. */
function formatOfStranger(head: Buffer): string | undefined {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'is compressed with gzip: decompress it first (gunzip)';
  if (head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528)
    return 'is compressed with zstd: decompress it first (unzstd)';
  if (head.toString('latin1', 0, 4) === 'PK\x03\x04')
    return 'is a zip archive or a spreadsheet: export it as CSV first';
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff)) {
    return 'is UTF-16 text: convert it to UTF-8 first';
  }
  if (head.toString('latin1', 0, 4) === 'FEA1') return 'is Feather version 1: write it again as version 2';
  return undefined;
}

function looksLikeJson(head: Buffer): boolean {
  return head.toString('utf8').trimStart().startsWith('{');
}

function notBinary(format: SourceFormat, head: Buffer): ConnectorError {
  const looks = head.includes(0) ? 'unknown binary data' : looksLikeJson(head) ? 'JSON lines' : 'text';
  const hint =
    looks === 'unknown binary data'
      ? ''
      : `; if that is right, say --format ${looks === 'text' ? 'csv' : 'jsonl'}`;
  const name = format === 'parquet' ? 'Parquet' : 'Arrow';
  return formatInvalid(`does not begin as a ${name} file: it looks like ${looks}${hint}`);
}
