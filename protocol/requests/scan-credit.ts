/**
 * SCAN_CREDIT: grants a running scan more bytes. On the scan's connection; never answered.
 *
 *   request body   0 u32 scanCorrelationId | 4 u32 bytes granted on top
 *
 * It may cross the scan's last frame on the wire, so credit for a scan that is not there is ignored.
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
  const start = beginRequest(writer, OPERATIONS.SCAN_CREDIT, options);
  writer.u32(credit.scanCorrelationId);
  writer.u32(credit.bytes);
  endFrame(writer, start);
}

export function decodeScanCreditRequest(frame: Frame): ScanCredit {
  const body = requestBody(frame);
  if (frame.end - body !== BODY_BYTES) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `a SCAN_CREDIT body has ${BODY_BYTES} bytes; this has ${frame.end - body}`,
    );
  }
  return { scanCorrelationId: frame.view.getUint32(body, true), bytes: frame.view.getUint32(body + 4, true) };
}
