/** The door of server/: a node inside this process. The package's own door is millrace.ts. */
export type { LogLevel, ServerConfig } from './config.ts';
export { type NodeOptions, type RunningNode, startNode } from './node.ts';
export { ServerError } from './server-error.ts';
export type { WorkerProgress } from './supervisor.ts';
