/**
 * One shard's backup as its taker sees it: a connection to the scan port, and one question after the other.
 *
 * I1  One question is under way at a time; each has one answer, or fails with the connection's error or the server's.
 * I2  Nothing is tried again here: what a lost connection interrupts is taken up by another backup into the same directory.
 */
import {
  BACKUP_KEYS_MAX,
  type BackupOpened,
  type ByteWriter,
  decodeBackupBlocksResponse,
  decodeBackupKeysResponse,
  decodeBackupOpenResponse,
  encodeBackupBlocksRequest,
  encodeBackupKeysRequest,
  encodeBackupOpenRequest,
  type Frame,
  OPERATIONS,
  type RequestOptions,
} from '../protocol/index.ts';
import type { Connection } from './connection.ts';
import type { Dispatcher } from './dispatcher.ts';
import { MillraceError, toMillraceError } from './errors.ts';
import { openConnection } from './handshake.ts';
import { BACKUP_ANSWER_TIMEOUT_MS } from './limits.ts';

/** How a value is told: its bytes, undefined when it is gone, null when it has to be asked for again. */
export type BackupValueVisitor = (index: number, value: Uint8Array | undefined | null) => void;

export class BackupFeed {
  private readonly connection: Connection;

  private constructor(connection: Connection) {
    this.connection = connection;
  }

  /** Dials shard `shard` of the map. */
  static async connect(dispatcher: Dispatcher, shard: number): Promise<BackupFeed> {
    const { host, scanPort } = dispatcher.map.shards[shard]!;
    const { connection, hello } = await openConnection({ host, port: scanPort }, dispatcher.context);
    const feed = new BackupFeed(connection);
    try {
      dispatcher.assertSameCluster(hello);
    } catch (error) {
      feed.close();
      throw error;
    }
    return feed;
  }

  /** Flushes and takes the shard's state; `isPinned` holds it until the next `open` or `close`. */
  open(isPinned: boolean): Promise<BackupOpened> {
    return this.ask(
      OPERATIONS.BACKUP_OPEN,
      (writer, options) => encodeBackupOpenRequest(writer, options, { isPinned }),
      decodeBackupOpenResponse,
    );
  }

  /** The next keys of the state, two words each. */
  keys(): Promise<{ words: Uint32Array; isLast: boolean }> {
    return this.ask(
      OPERATIONS.BACKUP_KEYS,
      (writer, options) => encodeBackupKeysRequest(writer, options, BACKUP_KEYS_MAX),
      decodeBackupKeysResponse,
    );
  }

  /** Reads values, at most BACKUP_BLOCKS_MAX; their bytes hold until `visit` returns. */
  async blocks(words: Uint32Array, visit: BackupValueVisitor): Promise<void> {
    const count = await this.ask(
      OPERATIONS.BACKUP_BLOCKS,
      (writer, options) => encodeBackupBlocksRequest(writer, options, words),
      (frame) => decodeBackupBlocksResponse(frame, visit),
    );
    if (count === words.length / 2) return;
    throw new MillraceError(
      'MALFORMED_REQUEST',
      `${words.length / 2} values were asked for, ${count} told of`,
    );
  }

  close(): void {
    this.connection.close(new MillraceError('CANCELLED', 'the backup has ended'));
  }

  private ask<T>(
    operation: number,
    encode: (writer: ByteWriter, options: RequestOptions) => void,
    decode: (frame: Frame) => T,
  ): Promise<T> {
    const { connection } = this;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => connection.close(new MillraceError('TIMEOUT', 'the shard did not answer the backup')),
        BACKUP_ANSWER_TIMEOUT_MS,
      );
      const fail = (error: MillraceError): void => {
        clearTimeout(timer);
        reject(error);
      };
      if (!connection.isOpen) {
        fail(new MillraceError('CONNECTION_LOST', 'the connection of the backup was lost'));
        return;
      }
      connection.send({
        operation,
        deadlineMs: Number.POSITIVE_INFINITY,
        sequence: 0,
        encode,
        fail,
        receive: (frame) => {
          clearTimeout(timer);
          try {
            resolve(decode(frame));
          } catch (error) {
            reject(toMillraceError(error));
          }
        },
      });
    });
  }
}
