/** Segment headers and names: their bytes, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checksum64, loadChecksum } from '../../storage/checksum.ts';
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  isSameIncarnation,
  type SegmentHeader,
  segmentName,
  segmentSequence,
} from '../../storage/journal-segment.ts';
import { JOURNAL_SEGMENT_BYTES, PAGE_BYTES } from '../../storage/limits.ts';
import { assertGolden } from '../support/golden-bytes.ts';

await loadChecksum();

const HEADER: SegmentHeader = {
  sequence: 7,
  segmentBytes: JOURNAL_SEGMENT_BYTES,
  incarnation: { lo: 0x89abcdef, hi: 0x01234567 },
  chainStart: 6 * JOURNAL_SEGMENT_BYTES + 3 * PAGE_BYTES,
};

function reseal(page: Uint8Array): Uint8Array {
  const sum = new Uint32Array(2);
  checksum64(page, 0, 56, sum);
  const view = new DataView(page.buffer);
  view.setUint32(56, sum[0]!, true);
  view.setUint32(60, sum[1]!, true);
  return page;
}

test('a segment header has its golden bytes and fills a page', () => {
  const page = encodeSegmentHeader(HEADER);
  assert.equal(page.length, PAGE_BYTES);
  assertGolden('journal-segment-header', page.subarray(0, 64));
  assert.ok(page.subarray(64).every((byte) => byte === 0));
});

test('a header is read back as written', () => {
  assert.deepEqual(decodeSegmentHeader(encodeSegmentHeader(HEADER), 7, JOURNAL_SEGMENT_BYTES), HEADER);
});

test('a header with any byte changed, cut short or blank is none', () => {
  for (let at = 0; at < 64; at++) {
    const page = encodeSegmentHeader(HEADER);
    page[at]! ^= 1;
    assert.equal(decodeSegmentHeader(page, 7, JOURNAL_SEGMENT_BYTES), undefined, `byte ${at}`);
  }
  const page = encodeSegmentHeader(HEADER);
  assert.equal(decodeSegmentHeader(page.subarray(0, 63), 7, JOURNAL_SEGMENT_BYTES), undefined);
  assert.equal(decodeSegmentHeader(new Uint8Array(PAGE_BYTES), 7, JOURNAL_SEGMENT_BYTES), undefined);
});

test('the header that a recycled file still has is none', () => {
  assert.equal(decodeSegmentHeader(encodeSegmentHeader(HEADER), 9, JOURNAL_SEGMENT_BYTES), undefined);
});

test('a newer format and another segment size stop the start with their own codes', () => {
  const newer = encodeSegmentHeader(HEADER);
  newer[4] = 2;
  assert.throws(() => decodeSegmentHeader(reseal(newer), 7, JOURNAL_SEGMENT_BYTES), {
    code: 'DATA_DIRECTORY_NEWER',
    message: /00000007\.journal has format 2/,
  });
  assert.throws(() => decodeSegmentHeader(encodeSegmentHeader(HEADER), 7, 65_536), {
    code: 'DATA_DIRECTORY_INVALID',
    message: /33554432/,
  });
});

test('names and sequences agree, and other files have none', () => {
  assert.equal(segmentName(7), '00000007.journal');
  assert.equal(segmentSequence('00000007.journal'), 7);
  assert.equal(segmentSequence('99999999.journal'), 99_999_999);
  for (const name of ['unfinished.journal', '7.journal', '000000007.journal', '00000007.journal.bak', 'x']) {
    assert.equal(segmentSequence(name), 0, name);
  }
  assert.throws(() => segmentName(100_000_000), /out of range/);
  assert.throws(() => segmentName(0), /out of range/);
});

test('incarnations are the same in both words or not at all', () => {
  assert.ok(isSameIncarnation({ lo: 1, hi: 2 }, { lo: 1, hi: 2 }));
  assert.ok(!isSameIncarnation({ lo: 1, hi: 2 }, { lo: 1, hi: 3 }));
  assert.ok(!isSameIncarnation({ lo: 1, hi: 2 }, { lo: 2, hi: 2 }));
});
