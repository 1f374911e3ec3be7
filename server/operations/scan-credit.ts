/** SCAN_CREDIT: lets a scan of this connection send more bytes. No answer; an unknown scan has just ended. */
import { decodeScanCreditRequest, type Frame, OPERATIONS } from '../../protocol/index.ts';
import type { Operation, SessionContext } from '../operation.ts';
import type { ScanThread } from '../scan-thread.ts';

export function scanCreditOperation(scans: ScanThread): Operation {
  return {
    number: OPERATIONS.SCAN_CREDIT,
    isContinuation: true,
    handle(context: SessionContext, frame: Frame): void {
      const { scanCorrelationId, bytes } = decodeScanCreditRequest(frame);
      scans.grant(context.id, scanCorrelationId, bytes);
    },
  };
}
