/**
 * Logs: pino, one JSON object a line, on standard error, so that standard output belongs to what a command prints and,
 * when a node runs inside a user's process, to the user.
 *
 * Every thread has its own logger on the same descriptor; a line is one write, so lines do not mix.
 */
import { destination, type Logger as PinoLogger, pino } from 'pino';
import type { LogLevel } from './config.ts';

export type Logger = PinoLogger;

const STANDARD_ERROR = 2;

/** `thread` is on each line: 'main', 'shard-0', 'scan-0'. */
export function createLogger(level: LogLevel, thread: string): Logger {
  const target = destination({ fd: STANDARD_ERROR, sync: true });
  // Whoever read our standard error has gone: the server goes on without its log.
  target.on('error', () => undefined);
  return pino({ level, base: { thread } }, target);
}
