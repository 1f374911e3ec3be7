/**
 * What the threads of a node say to each other, as closed unions.
 *
 *   main --MainMessage--> worker     worker --WorkerMessage--> main     scan --PeerRequest--> its shard --PeerAnswer-->
 *
 * A worker's life:
 *
 *   worker → main   progress*  opened  listening
 *   main → worker                                 open (with the map)  …  drain            close
 *   worker → main                                                         … drained        closed, then it exits
 *
 * I1  Every message that carries a requestId is answered once, by the message that carries the same one.
 * I2  `failed` is a worker's last word: the process ends.
 */

import type { MessagePort } from 'node:worker_threads';
import type { PartitionMap } from '../cluster/index.ts';
import type { ErrorCodeName, GroupSchema } from '../protocol/index.ts';
import type { CompactionSettings, CorruptBlock } from '../storage/index.ts';
import type { LogLevel } from './config.ts';

export type WorkerRole = 'shard' | 'scan';

/** What a node is, in every HELLO. */
export interface NodeIdentity {
  readonly nodeId: string;
  readonly clusterId: string;
  readonly hashSeedLo: number;
  readonly hashSeedHi: number;
  /** How often the directory was rewritten for another shard count; 0 when it was made. */
  readonly generation: number;
}

/** What a worker is started with. */
export interface WorkerData {
  readonly role: WorkerRole;
  readonly shardIndex: number;
  readonly shardCount: number;
  /** The shard's own directory: DIR/shard-N. */
  readonly directory: string;
  /** The node's catalog, for backups: DIR/catalog.json. */
  readonly catalogPath: string;
  readonly identity: NodeIdentity;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly groups: readonly GroupSchema[];
  readonly writeBufferBytes: number;
  /** This shard's part of the node's budget. */
  readonly cacheBytes: number;
  /** 0: no limit. */
  readonly indexBytesMax: number;
  readonly compaction: Partial<CompactionSettings>;
  readonly logLevel: LogLevel;
  /** Between a shard and its scan thread: each has one end. */
  readonly peer: MessagePort;
}

export type MainMessage =
  | { readonly type: 'open'; readonly map: PartitionMap }
  | { readonly type: 'group-added'; readonly requestId: number; readonly group: GroupSchema }
  | { readonly type: 'group-changed'; readonly requestId: number; readonly group: GroupSchema }
  | { readonly type: 'group-dropped'; readonly requestId: number; readonly groupId: number }
  | { readonly type: 'status'; readonly requestId: number }
  | {
      readonly type: 'control-answer';
      readonly requestId: number;
      /** The whole response frame. */
      readonly frame: Uint8Array;
    }
  | { readonly type: 'drain'; readonly timeoutMs: number }
  | { readonly type: 'close' };

export type WorkerMessage =
  | { readonly type: 'progress'; readonly phase: string; readonly done: number; readonly total: number }
  | { readonly type: 'opened' }
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'acknowledged'; readonly requestId: number }
  | { readonly type: 'status-answer'; readonly requestId: number; readonly status: WorkerStatus }
  | ControlRequest
  | { readonly type: 'drained' }
  | { readonly type: 'closed' }
  | { readonly type: 'failed'; readonly failure: WorkerFailure };

/** A control request that reached a worker and is the main thread's to answer. */
export interface ControlRequest {
  readonly type: 'control';
  readonly requestId: number;
  /** The whole request frame, in a buffer of its own. */
  readonly frame: Uint8Array;
}

/** Plain numbers and texts, as STATUS shows them. */
export type WorkerStatus = Readonly<Record<string, number | string | boolean>>;

export interface WorkerFailure {
  readonly code: ErrorCodeName;
  readonly message: string;
  readonly stack: string | undefined;
}

/**
 * From a scan thread to its shard: the versions of these partitions that are still in the write buffer; or a flush, which is
 * answered, without bytes, when everything durable so far is in blocks; or a block that it found damaged, which is not answered.
 */
export type PeerRequest =
  | {
      readonly requestId: number;
      readonly group: number;
      readonly partitions: Uint16Array;
      /** Null, or a read point that the shard must have closed. */
      readonly readPointMicros: number | null;
    }
  | { readonly requestId: number; readonly isFlush: true }
  | { readonly damaged: CorruptBlock };

export type PeerAnswer =
  | {
      readonly requestId: number;
      readonly flushNumber: number;
      /** Records back to back, 8-aligned; transferred. */
      readonly bytes: Uint8Array;
    }
  | { readonly requestId: number; readonly code: ErrorCodeName; readonly message: string };
