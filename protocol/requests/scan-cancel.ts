/**
 * SCAN_CANCEL: ends a running scan. On the scan's connection; has no answer of its own, the scan's last frame with
 * status CANCELLED is one.
 *
 *   request body   0 u32 scanCorrelationId | 4 u32 0
 *
 * It may cross the scan's last frame on the wire, so a scan that is not there is ignored.
 */

import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import { beginRequest, endFrame, type RequestOptions, requestBody } from '../frame-header.ts';
import { OPERATIONS } from '../operation.ts';
import { ProtocolError } from '../protocol-error.ts';

const BODY_BYTES = 8;

export function encodeScanCancelRequest(
  writer: ByteWriter,
  options: RequestOptions,
  scanCorrelationId: number,
): void {
  const start = beginRequest(writer, OPERATIONS.SCAN_CANCEL, options);
  writer.u32(scanCorrelationId);
  writer.u32(0);
  endFrame(writer, start);
}

/** The correlation id of the scan to end. */
export function decodeScanCancelRequest(frame: Frame): number {
  const body = requestBody(frame);
  if (frame.end - body !== BODY_BYTES || frame.view.getUint32(body + 4, true) !== 0) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `a SCAN_CANCEL body is a u32 and four zero bytes; this has ${frame.end - body} bytes`,
    );
  }
  return frame.view.getUint32(body, true);
}
