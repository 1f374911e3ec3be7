/**
 * What a power failure leaves of files whose writes were noted by fault-shim.c: everything that was synced, and of what was not
 * any part, in any order, page by page and sometimes sector by sector.
 *
 * Of each page the states it went through are known. The device may have any of them from the last durable one on; which it
 * is, the seed says. Sizes of files and names of directories stay as the process left them.
 */
import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { SeededRandom } from '../support/random-source.ts';

const PAGE_BYTES = 4096;
const SECTOR_BYTES = 512;
const NOTE_HEADER_BYTES = 40;
const NOTE_WRITE = 1;
const NOTE_WRITE_DURABLE = 2;
/** How often the device has cut a page in the middle. */
const TORN_PAGES = 0.2;

/** A page of a file: what it held before each write that is not known to be durable. */
interface UnsyncedPage {
  /** Numbers of the writes, rising, and for each what it replaced. */
  readonly numbers: number[];
  readonly before: Uint8Array[];
}

type UnsyncedFile = Map<number, UnsyncedPage>;

/** Undoes a random part of what was not synced in `directory`, and forgets the log. Answers how many pages went back. */
export function losePower(directory: string, logPath: string, random: SeededRandom): number {
  const files = readLog(logPath);
  rmSync(logPath, { force: true });
  let lost = 0;
  for (const path of filesBelow(directory)) {
    const fd = openSync(path, 'r+');
    try {
      const status = fstatSync(fd, { bigint: true });
      const pages = files.get(`${status.dev}/${status.ino}`);
      if (pages === undefined) continue;
      for (const [page, unsynced] of pages) lost += losePage(fd, page, unsynced, Number(status.size), random);
    } finally {
      closeSync(fd);
    }
  }
  return lost;
}

/** Puts a page back to one of its states, as a whole or each sector to one of its own. */
function losePage(
  fd: number,
  page: number,
  { before }: UnsyncedPage,
  fileBytes: number,
  random: SeededRandom,
): number {
  const step = random.chance(TORN_PAGES) ? SECTOR_BYTES : PAGE_BYTES;
  let lost = 0;
  for (let at = 0; at < PAGE_BYTES; at += step) {
    const state = random.below(before.length + 1);
    const bytes = before[state]?.subarray(at, at + step);
    const offset = page * PAGE_BYTES + at;
    if (bytes === undefined || offset >= fileBytes) continue;
    writeSync(fd, bytes, 0, Math.min(bytes.length, fileBytes - offset), offset);
    lost = 1;
  }
  return lost;
}

/** By file: the pages that a power failure could undo. */
function readLog(logPath: string): Map<string, UnsyncedFile> {
  // A process that was killed before it had loaded the library has noted nothing.
  const bytes = existsSync(logPath) ? readFileSync(logPath) : Buffer.alloc(0);
  const files = new Map<string, UnsyncedFile>();
  /** The pages of writes that may still become durable one by one. */
  const pagesOfWrite = new Map<number, { file: UnsyncedFile; pages: number[] }>();
  // A note that the kill cut short was of a write that did not begin.
  for (let at = 0; at + NOTE_HEADER_BYTES <= bytes.length; ) {
    const kind = bytes.readUInt32LE(at);
    const length = bytes.readUInt32LE(at + 4);
    const number = Number(bytes.readBigUInt64LE(at + 8));
    const name = `${bytes.readBigUInt64LE(at + 16)}/${bytes.readBigUInt64LE(at + 24)}`;
    const offset = Number(bytes.readBigUInt64LE(at + 32));
    const end = at + NOTE_HEADER_BYTES + length;
    if (end > bytes.length) break;
    const file = files.get(name) ?? new Map<number, UnsyncedPage>();
    files.set(name, file);
    if (kind === NOTE_WRITE) {
      assert.equal(offset % PAGE_BYTES, 0);
      const pages: number[] = [];
      for (let from = at + NOTE_HEADER_BYTES; from < end; from += PAGE_BYTES) {
        const page = (offset + from - at - NOTE_HEADER_BYTES) / PAGE_BYTES;
        const unsynced = file.get(page) ?? { numbers: [], before: [] };
        unsynced.numbers.push(number);
        unsynced.before.push(bytes.subarray(from, from + PAGE_BYTES));
        file.set(page, unsynced);
        pages.push(page);
      }
      pagesOfWrite.set(number, { file, pages });
    } else if (kind === NOTE_WRITE_DURABLE) {
      const write = pagesOfWrite.get(number);
      assert.ok(write !== undefined);
      for (const page of write.pages) settle(write.file, page, number);
    } else {
      for (const page of [...file.keys()]) settle(file, page, number);
    }
    at = end;
  }
  return files;
}

/** The page is durable as the write of this number left it: earlier states are gone. */
function settle(file: UnsyncedFile, page: number, number: number): void {
  const unsynced = file.get(page);
  if (unsynced === undefined) return;
  const durable = unsynced.numbers.filter((one) => one <= number).length;
  unsynced.numbers.splice(0, durable);
  unsynced.before.splice(0, durable);
  if (unsynced.numbers.length === 0) file.delete(page);
}

/** None when the process was killed before it had made its directory. */
function filesBelow(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
