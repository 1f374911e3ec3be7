/**
 * The server's settings: one table, four sources, one error.
 *
 *   flag  >  environment (MILLRACE_*)  >  file (--config, YAML or JSON)  >  default
 *
 * I1  A setting exists by its row in CONFIG_TABLE and nowhere else: flags, help, documentation and checks come from it.
 * I2  Every value that was given is checked, also one that a stronger source overrides, so a wrong file does not wait
 *     for the day its flag is dropped.
 * I3  CONFIG_INVALID names the key, the source and place, what was seen and what is allowed.
 *
 * An unknown key in the file or an unknown flag is an error. An unknown MILLRACE_* variable is a warning only, because
 * orchestrators inject variables named after a service.
 *
 * Left to others: reading argv (cli/serve.ts), reading the file's bytes (handed in), what a setting does (node.ts).
 */
import { parse as parseYaml } from 'yaml';
import { messageOf, ServerError } from './server-error.ts';

const MIB = 1024 * 1024;
const BYTE_UNITS: Record<string, number> = {
  '': 1,
  b: 1,
  kib: 1024,
  mib: MIB,
  gib: 1024 * MIB,
  tib: 1024 * 1024 * MIB,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
};

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface ServerConfig {
  dataDirectory: string;
  host: string;
  port: number;
  /** 0: what the data directory says; one a core in a new one. */
  shards: number;
  writeBufferBytes: number;
  /** 0: a quarter of the machine's memory. */
  cacheBytes: number;
  /** 0: none. */
  memoryLimitBytes: number;
  /** Of each shard; 0: none. */
  compactionBytesPerSecond: number;
  /** Of each shard. */
  compactionLevelZeroBytes: number;
  logLevel: LogLevel;
  drainTimeoutMs: number;
}

type ConfigType =
  | { readonly kind: 'string' }
  | { readonly kind: 'integer'; readonly min: number; readonly max: number }
  | { readonly kind: 'bytes'; readonly min: number; readonly max: number }
  | { readonly kind: 'choice'; readonly choices: readonly string[] };

export interface ConfigRow {
  /** In the file, and in `ServerConfig`. */
  readonly key: keyof ServerConfig;
  readonly flag: string;
  readonly placeholder: string;
  readonly env: string;
  readonly type: ConfigType;
  /** Undefined: required. */
  readonly default: string | number | undefined;
  readonly description: string;
}

export const CONFIG_TABLE: readonly ConfigRow[] = [
  {
    key: 'dataDirectory',
    flag: '--data',
    placeholder: 'DIR',
    env: 'MILLRACE_DATA',
    type: { kind: 'string' },
    default: undefined,
    description: 'data directory, made when it is not there',
  },
  {
    key: 'host',
    flag: '--host',
    placeholder: 'HOST',
    env: 'MILLRACE_HOST',
    type: { kind: 'string' },
    default: '127.0.0.1',
    description:
      'address to listen on; loopback only unless told otherwise, for there is no authentication yet',
  },
  {
    key: 'port',
    flag: '--port',
    placeholder: 'PORT',
    env: 'MILLRACE_PORT',
    type: { kind: 'integer', min: 0, max: 65535 },
    default: 7400,
    description: 'port of shard 0; shard i listens on PORT+i, its scans on PORT+shards+i; 0 takes free ports',
  },
  {
    key: 'shards',
    flag: '--shards',
    placeholder: 'N',
    env: 'MILLRACE_SHARDS',
    type: { kind: 'integer', min: 0, max: 256 },
    default: 0,
    description:
      'shard threads, fixed in the data directory at its first start; 0 is what it says, or one a core',
  },
  {
    key: 'writeBufferBytes',
    flag: '--write-buffer',
    placeholder: 'BYTES',
    env: 'MILLRACE_WRITE_BUFFER',
    type: { kind: 'bytes', min: 8 * MIB, max: 1024 * MIB },
    default: 64 * MIB,
    description: 'rows each shard keeps in memory before it flushes them to blocks',
  },
  {
    key: 'cacheBytes',
    flag: '--cache',
    placeholder: 'BYTES',
    env: 'MILLRACE_CACHE',
    type: { kind: 'bytes', min: 0, max: 16 * 1024 * 1024 * MIB },
    default: 0,
    description: 'memory for cached blocks, all shards together; 0 is a quarter of the memory of the machine',
  },
  {
    key: 'memoryLimitBytes',
    flag: '--memory-limit',
    placeholder: 'BYTES',
    env: 'MILLRACE_MEMORY_LIMIT',
    type: { kind: 'bytes', min: 1, max: 16 * 1024 * 1024 * MIB },
    default: 0,
    description:
      'memory of the whole node, mapped files apart: new keys are refused MEMORY_FULL before it is exceeded; 0 is no limit',
  },
  {
    key: 'compactionBytesPerSecond',
    flag: '--compaction-bandwidth',
    placeholder: 'BYTES',
    env: 'MILLRACE_COMPACTION_BANDWIDTH',
    type: { kind: 'bytes', min: 1 * MIB, max: 1024 * 1024 * MIB },
    default: 0,
    description:
      'blocks that compaction may write a second, each shard; writers wait when it falls far behind; 0 is no limit',
  },
  {
    key: 'compactionLevelZeroBytes',
    flag: '--compaction-level-zero',
    placeholder: 'BYTES',
    env: 'MILLRACE_COMPACTION_LEVEL_ZERO',
    type: { kind: 'bytes', min: 4 * MIB, max: 1024 * 1024 * MIB },
    default: 512 * MIB,
    description: 'flushed blocks of each shard that are compacted at the latest, however much is stored',
  },
  {
    key: 'logLevel',
    flag: '--log-level',
    placeholder: 'LEVEL',
    env: 'MILLRACE_LOG_LEVEL',
    type: { kind: 'choice', choices: LOG_LEVELS },
    default: 'info',
    description: `how much is logged: ${LOG_LEVELS.join(', ')}`,
  },
  {
    key: 'drainTimeoutMs',
    flag: '--drain-timeout-ms',
    placeholder: 'MS',
    env: 'MILLRACE_DRAIN_TIMEOUT_MS',
    type: { kind: 'integer', min: 0, max: 600_000 },
    default: 10_000,
    description: 'how long a closing server waits for requests in flight before it ends their connections',
  },
];

export interface ConfigSources {
  /** By config key, as the command line gave them. */
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The file that --config or MILLRACE_CONFIG names. */
  readonly file?: { readonly path: string; readonly text: string } | undefined;
}

export interface LoadedConfig {
  readonly config: ServerConfig;
  readonly warnings: readonly string[];
}

/** Variables that the command line reads elsewhere; they are no mistake here. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set(['MILLRACE_CONFIG', 'MILLRACE_ADDRESS']);

export function loadConfig(sources: ConfigSources): LoadedConfig {
  const fileValues = sources.file === undefined ? {} : readConfigFile(sources.file);
  const fileName = sources.file?.path ?? '';
  const config: Record<string, string | number> = {};
  for (const row of CONFIG_TABLE) {
    // Weakest first: each given value is checked (I2) and then overridden by the next.
    let value = row.default;
    if (Object.hasOwn(fileValues, row.key)) {
      value = parseValue(row, fileValues[row.key], `key "${row.key}" in ${fileName}`);
    }
    const fromEnv = sources.env[row.env];
    if (fromEnv !== undefined) value = parseValue(row, fromEnv, `environment variable ${row.env}`);
    const fromFlag = sources.flags[row.key];
    if (fromFlag !== undefined) value = parseValue(row, fromFlag, `flag ${row.flag}`);
    if (value === undefined) {
      throw invalid(
        `"${row.key}" is required: give ${row.flag} ${row.placeholder}, ${row.env} or "${row.key}" in the config file`,
      );
    }
    config[row.key] = value;
  }
  return { config: config as unknown as ServerConfig, warnings: unknownVariables(sources.env) };
}

function readConfigFile(file: { path: string; text: string }): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = parseYaml(file.text);
  } catch (error) {
    throw invalid(`${file.path} is neither YAML nor JSON: ${messageOf(error)}`, error);
  }
  if (parsed === null || parsed === undefined) return {};
  if (typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw invalid(`${file.path} holds ${describe(parsed)}: a map of settings is expected`);
  }
  const known = CONFIG_TABLE.map((row) => row.key as string);
  for (const key of Object.keys(parsed)) {
    if (!known.includes(key)) {
      throw invalid(`unknown key "${key}" in ${file.path}: the keys are ${known.join(', ')}`);
    }
  }
  return parsed as Record<string, unknown>;
}

function parseValue(row: ConfigRow, given: unknown, source: string): string | number {
  const { type } = row;
  switch (type.kind) {
    case 'string':
      if (typeof given === 'string' && given.length > 0) return given;
      throw wrong(source, given, 'text of one character or more');
    case 'choice':
      if (typeof given === 'string' && type.choices.includes(given)) return given;
      throw wrong(source, given, `one of ${type.choices.join(', ')}`);
    case 'integer': {
      const value = parseInteger(given);
      if (value !== undefined && value >= type.min && value <= type.max) return value;
      throw wrong(source, given, `an integer from ${type.min} to ${type.max}`);
    }
    case 'bytes': {
      const value = parseBytes(given);
      // 0 asks for the default that depends on the machine, where the default itself is 0.
      if (value === 0 && row.default === 0) return value;
      if (value !== undefined && value >= type.min && value <= type.max) return value;
      throw wrong(source, given, `bytes from ${type.min} to ${type.max}, as in 67108864 or 64MiB`);
    }
  }
}

function parseInteger(given: unknown): number | undefined {
  if (typeof given === 'number') return Number.isSafeInteger(given) ? given : undefined;
  return typeof given === 'string' && /^[0-9]{1,15}$/.test(given) ? Number(given) : undefined;
}

/** Bytes as a number, or text with a unit: 64MiB, 1.5 GiB, 500MB. */
export function parseBytes(given: unknown): number | undefined {
  if (typeof given === 'number') return Number.isSafeInteger(given) && given >= 0 ? given : undefined;
  if (typeof given !== 'string') return undefined;
  const match = /^([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([a-z]{0,3})$/i.exec(given);
  const unit = match === null ? undefined : BYTE_UNITS[match[2]!.toLowerCase()];
  if (match === null || unit === undefined) return undefined;
  const bytes = Math.round(Number(match[1]) * unit);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

function unknownVariables(env: ConfigSources['env']): string[] {
  const known = new Set(CONFIG_TABLE.map((row) => row.env));
  return Object.keys(env)
    .filter((name) => name.startsWith('MILLRACE_') && !known.has(name) && !OTHER_VARIABLES.has(name))
    .map((name) => `environment variable ${name} is no setting of this server`);
}

function wrong(source: string, given: unknown, allowed: string): ServerError {
  return invalid(`${source} is ${describe(given)}: ${allowed} is expected`);
}

function describe(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}

function invalid(message: string, cause?: unknown): ServerError {
  return new ServerError('CONFIG_INVALID', message, { cause });
}
