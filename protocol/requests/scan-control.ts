/**
 * SCAN_CREDIT and SCAN_CANCEL: what a client says while a scan runs, on the scan's connection.
 *
 *   SCAN_CREDIT body   0 u32 scanCorrelationId | 4 u32 bytes granted on top     no answer
 *   SCAN_CANCEL body   0 u32 scanCorrelationId | 4 u32 0                        no answer of its own
 *
 * Both may cross the scan's last frame on the wire, so an unknown scan is ignored.
 */

import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import { beginRequest, endFrame, type RequestOptions, requestBody } from '../frame-header.ts';
import { OPERATIONS } from '../operation.ts';
import { ProtocolError } from '../protocol-error.ts';

const BODY_BYTES = 8;

export interface ScanCredit {
  scanCorrelationId: number;
  bytes: number;
}

export function encodeScanCreditRequest(
  writer: ByteWriter,
  options: RequestOptions,
  credit: ScanCredit,
): void {
  encodeBody(writer, OPERATIONS.SCAN_CREDIT, options, credit.scanCorrelationId, credit.bytes);
}

export function decodeScanCreditRequest(frame: Frame): ScanCredit {
  const body = checkBody(frame);
  return { scanCorrelationId: frame.view.getUint32(body, true), bytes: frame.view.getUint32(body + 4, true) };
}

export function encodeScanCancelRequest(
  writer: ByteWriter,
  options: RequestOptions,
  scanCorrelationId: number,
): void {
  encodeBody(writer, OPERATIONS.SCAN_CANCEL, options, scanCorrelationId, 0);
}

/** The correlation id of the scan to end. */
export function decodeScanCancelRequest(frame: Frame): number {
  return frame.view.getUint32(checkBody(frame), true);
}

function encodeBody(
  writer: ByteWriter,
  operation: number,
  options: RequestOptions,
  first: number,
  second: number,
): void {
  const start = beginRequest(writer, operation, options);
  writer.u32(first);
  writer.u32(second);
  endFrame(writer, start);
}

function checkBody(frame: Frame): number {
  const body = requestBody(frame);
  if (frame.end - body !== BODY_BYTES) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `the body has ${BODY_BYTES} bytes; this has ${frame.end - body}`,
    );
  }
  return body;
}
