/**
 * A look at LMDB's data file before LMDB maps it: what is wrong with it ends the process there, by a signal and without a word.
 *
 *   page 0, 1   meta pages: header 24 | u32 magic | u16 version | … | 144 u64 last page | 152 u64 transaction
 *
 * I1  A file whose head is no LMDB file's is refused: opening it would end the process.
 * I2  A file that is shorter than the newer meta page says is refused: reading behind its end would end the process.
 * I3  Some pages may be missing at the end of a sound file: LMDB does not write what one transaction has allocated and given back.
 *     (m) 1 of 750 random transactions left up to 2 such pages. Up to MISSING_PAGES_MAX are filled with zeros, so that if a
 *     block did lie there its checksum tells.
 * I4  A file of which one meta page says that nothing was ever stored, and the other says so too or is zeros, is what a first start
 *     has left that failed, or lost power, before its first transaction was durable: it is removed, and made anew. A store that
 *     holds anything has a meta page that says so.
 */
import type { Disk, DiskFile } from './environment.ts';
import { LMDB_PAGE_HEADER_BYTES, PAGE_BYTES } from './limits.ts';
import { readSafeInteger } from './record.ts';
import { StorageError } from './storage-error.ts';

/** What the first two pages begin with, behind their page headers: magic, then version 2 in 16 bits. */
const LMDB_MAGIC = 0xbeefc0de;
const LMDB_VERSION = 2;
const META_PAGES = 2;
const LAST_PAGE_AT = 144;
const TRANSACTION_AT = 152;
/** More than any transaction of ours gives back of what it has just allocated at the file's end; less than a torn copy lacks. */
const MISSING_PAGES_MAX = 64;

/** Throws DATA_DIRECTORY_INVALID unless the file, which is there, can be opened, or is to be made anew. */
export function checkDataFile(disk: Disk, path: string): void {
  const file = disk.openDurable(path);
  let isUnfinished = false;
  try {
    const bytes = file.sizeBytes();
    // LMDB makes a new store of an empty file, which a crash while it made the first may have left.
    if (bytes === 0) return;
    isUnfinished = holdsNothing(file);
    if (isUnfinished) return;
    const pages = pagesNeeded(file, path);
    const missing = pages - Math.floor(bytes / PAGE_BYTES);
    if (missing > MISSING_PAGES_MAX) {
      throw new StorageError(
        'DATA_DIRECTORY_INVALID',
        `${path} is cut: ${bytes} bytes are there of ${pages * PAGE_BYTES}; restore a backup, or the file`,
      );
    }
    if (missing > 0) file.extendSync(pages * PAGE_BYTES);
  } finally {
    file.close();
    if (isUnfinished) disk.remove(path);
  }
}

/** Neither meta page names a page of data, one of them is whole, and the other is that or was never written. */
function holdsNothing(file: DiskFile): boolean {
  const head = new Uint8Array(META_PAGES * PAGE_BYTES);
  file.readSync(head, 0);
  const view = new DataView(head.buffer);
  let newPages = 0;
  for (let start = 0; start < head.length; start += PAGE_BYTES) {
    const isNew = isMetaPage(view, start) && readSafeInteger(view, start + LAST_PAGE_AT) < META_PAGES;
    const isZeros = head.subarray(start, start + PAGE_BYTES).every((byte) => byte === 0);
    if (!isNew && !isZeros) return false;
    if (isNew) newPages += 1;
  }
  return newPages > 0;
}

function isMetaPage(view: DataView, start: number): boolean {
  const at = start + LMDB_PAGE_HEADER_BYTES;
  return view.getUint32(at, true) === LMDB_MAGIC && view.getUint16(at + 4, true) === LMDB_VERSION;
}

/** Up to and with the last page in use, as the newer of the meta pages has it. */
function pagesNeeded(file: DiskFile, path: string): number {
  const head = new Uint8Array(META_PAGES * PAGE_BYTES);
  const isWhole = file.readSync(head, 0) === head.length;
  const view = new DataView(head.buffer);
  let newest = -1;
  let pages = 0;
  for (let page = 0; page < META_PAGES; page += 1) {
    const start = page * PAGE_BYTES;
    if (!isWhole || !isMetaPage(view, start)) {
      throw new StorageError(
        'DATA_DIRECTORY_INVALID',
        `${path} is damaged: page ${page} is no page of an LMDB file`,
      );
    }
    const transaction = readSafeInteger(view, start + TRANSACTION_AT);
    if (transaction <= newest) continue;
    newest = transaction;
    pages = readSafeInteger(view, start + LAST_PAGE_AT) + 1;
  }
  return pages;
}
