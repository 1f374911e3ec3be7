/**
 * What `connect` takes: where the cluster is, and how long to wait for it.
 *
 * One reachable listener of any node is enough: the partition map says where all the others are.
 */
import { MillraceError } from './errors.ts';
import {
  CLOSE_TIMEOUT_MS_DEFAULT,
  CONNECT_TIMEOUT_MS_DEFAULT,
  REQUEST_TIMEOUT_MS_DEFAULT,
  SCAN_IDLE_TIMEOUT_MS_DEFAULT,
} from './limits.ts';

/** The port that `millrace serve` listens on unless told otherwise. */
export const DEFAULT_PORT = 7400;

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ConnectOptions {
  /** The longest that one request may take, its retries included, in ms. Default 10,000. */
  readonly timeoutMs?: number;
  /** The longest that dialling and greeting one listener may take, in ms. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** How long `close` waits for answers under way, in ms. Default 5,000. */
  readonly closeTimeoutMs?: number;
  /** A scan whose shard sends nothing for this long, though it may, has failed, in ms. Default 30,000. */
  readonly scanIdleTimeoutMs?: number;
  /**
   * Repeat a put or delete whose connection was lost before the answer. Default false: it may have been carried out.
   * Lookups are the same either way, since the version of a (key, event time) written twice holds the same values;
   * the history then holds it twice.
   */
  readonly retryWrites?: boolean;
  /** Names this client in the server's log. Default `millrace-js`. */
  readonly clientName?: string;
  /** Sent in the greeting, for servers that ask for one. */
  readonly token?: string;
}

export type ResolvedOptions = Required<Omit<ConnectOptions, 'token'>> & {
  readonly token: string | undefined;
};

export function resolveOptions(options: ConnectOptions): ResolvedOptions {
  return {
    timeoutMs: positiveMs('timeoutMs', options.timeoutMs, REQUEST_TIMEOUT_MS_DEFAULT),
    connectTimeoutMs: positiveMs('connectTimeoutMs', options.connectTimeoutMs, CONNECT_TIMEOUT_MS_DEFAULT),
    closeTimeoutMs: positiveMs('closeTimeoutMs', options.closeTimeoutMs, CLOSE_TIMEOUT_MS_DEFAULT),
    scanIdleTimeoutMs: positiveMs(
      'scanIdleTimeoutMs',
      options.scanIdleTimeoutMs,
      SCAN_IDLE_TIMEOUT_MS_DEFAULT,
    ),
    retryWrites: options.retryWrites ?? false,
    clientName: options.clientName ?? 'millrace-js',
    token: options.token,
  };
}

/** The longest that a timer and the header's 32 bits both hold: 24 days. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** `value`, or `fallback` when it is absent; USAGE when it is no number of milliseconds that a timer can wait. */
export function positiveMs(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && value > 0 && value <= TIMEOUT_MS_MAX) return value;
  throw new MillraceError(
    'USAGE',
    `${name} is ${String(value)}; it must be more than 0 and at most ${TIMEOUT_MS_MAX} ms`,
  );
}

/** Accepts `host`, `host:port`, `[v6]:port` and `{ host, port }`; the port is 7400 when absent. */
export function parseAddress(address: string | Address): Address {
  if (typeof address !== 'string') return checkedAddress(address.host, address.port, address);
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::([0-9]+))?$/.exec(address);
  if (match === null) return checkedAddress('', 0, address);
  return checkedAddress(
    match[1] ?? match[2] ?? '',
    match[3] === undefined ? DEFAULT_PORT : Number(match[3]),
    address,
  );
}

function checkedAddress(host: unknown, port: unknown, given: unknown): Address {
  const isPort = Number.isInteger(port) && (port as number) > 0 && (port as number) < 65_536;
  if (typeof host === 'string' && host !== '' && isPort) return { host, port: port as number };
  throw new MillraceError(
    'USAGE',
    `${JSON.stringify(given)} is no address: give 'host:port', or { host, port } with a port from 1 to 65535`,
  );
}
