/** BACKUP_OPEN, BACKUP_KEYS and BACKUP_BLOCKS: a shard's store as it was at one moment (backup-service.ts). */
import {
  decodeBackupBlocksRequest,
  decodeBackupKeysRequest,
  decodeBackupOpenRequest,
  type Frame,
  OPERATIONS,
} from '../../protocol/index.ts';
import type { BackupService } from '../backup-service.ts';
import type { Operation, SessionContext } from '../operation.ts';
import { correlationIdOf } from '../request-fields.ts';

export function backupOpenOperation(backups: BackupService): Operation {
  return {
    number: OPERATIONS.BACKUP_OPEN,
    handle(context: SessionContext, frame: Frame): void {
      const { isPinned } = decodeBackupOpenRequest(frame);
      backups.open(context, correlationIdOf(frame), isPinned);
    },
  };
}

export function backupKeysOperation(backups: BackupService): Operation {
  return {
    number: OPERATIONS.BACKUP_KEYS,
    handle(context: SessionContext, frame: Frame): void {
      backups.keys(context, correlationIdOf(frame), decodeBackupKeysRequest(frame));
    },
  };
}

export function backupBlocksOperation(backups: BackupService): Operation {
  return {
    number: OPERATIONS.BACKUP_BLOCKS,
    handle(context: SessionContext, frame: Frame): void {
      backups.blocks(context, correlationIdOf(frame), decodeBackupBlocksRequest(frame));
    },
  };
}
