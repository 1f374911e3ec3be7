/**
 * The catalog: the node's feature groups, durable in one file.
 *
 *   DIR/catalog.json   { "format": 2, "nextGroupId": 3, "groups": [ GroupSchema, … ] }
 *
 *   format 1   without the versions of schemas that were altered, their lateness and durability: read as it is
 *   format 2   what a build of format 1 would lose is in it, so it must not open the directory
 *
 * I1  A change is on disk (temporary file, fsync, rename, fsync of the directory) before it is in memory, and in memory
 *     before anyone is told.
 * I2  Group ids rise and are never reused, also after a drop: rows of a dropped group can never show up in another.
 * I3  A file that breaks the format, or was written by a newer version, stops the start; it is never repaired silently.
 *
 * The main thread alone has one. Left to others: telling the workers (supervisor.ts).
 */
import {
  changeSchema,
  GROUPS_MAX,
  type GroupChange,
  type GroupSchema,
  type GroupSpec,
  ProtocolError,
  schemaFromSpec,
  validateSchema,
} from '../protocol/index.ts';
import type { Disk } from '../storage/index.ts';
import { messageOf, ServerError } from './server-error.ts';

const CATALOG_FORMAT = 2;

interface CatalogFile {
  format: number;
  nextGroupId: number;
  groups: GroupSchema[];
}

export class Catalog {
  readonly #disk: Disk;
  readonly #path: string;
  #nextGroupId: number;
  readonly #byName: Map<string, GroupSchema>;

  private constructor(disk: Disk, path: string, file: CatalogFile) {
    this.#disk = disk;
    this.#path = path;
    this.#nextGroupId = file.nextGroupId;
    this.#byName = new Map(file.groups.map((group) => [group.name, group]));
  }

  /** Writes an empty catalog, for a new data directory. */
  static create(disk: Disk, path: string): Catalog {
    const file: CatalogFile = { format: CATALOG_FORMAT, nextGroupId: 1, groups: [] };
    writeCatalog(disk, path, file);
    return new Catalog(disk, path, file);
  }

  /** Throws DATA_DIRECTORY_INVALID, DATA_DIRECTORY_NEWER. */
  static open(disk: Disk, path: string): Catalog {
    const bytes = disk.readFile(path);
    if (bytes === undefined) throw invalid(path, 'it is missing, though the directory is not new');
    return new Catalog(disk, path, parseCatalog(path, bytes));
  }

  /** In the order of their names. */
  groups(): GroupSchema[] {
    return [...this.#byName.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** Throws GROUP_NOT_FOUND. */
  get(name: string): GroupSchema {
    const group = this.#byName.get(name);
    if (group === undefined) throw new ProtocolError('GROUP_NOT_FOUND', `there is no group "${name}"`);
    return group;
  }

  find(name: string): GroupSchema | undefined {
    return this.#byName.get(name);
  }

  /** Throws GROUP_EXISTS, LIMIT_EXCEEDED, and what the disk refuses. */
  create(spec: GroupSpec, nowMicros: number): GroupSchema {
    if (this.#byName.has(spec.name)) {
      throw new ProtocolError('GROUP_EXISTS', `there is a group "${spec.name}" already`);
    }
    if (this.#nextGroupId > GROUPS_MAX) {
      throw new ProtocolError(
        'LIMIT_EXCEEDED',
        `all ${GROUPS_MAX} group ids have been used; ids are not reused`,
      );
    }
    const group = schemaFromSpec(spec, this.#nextGroupId, nowMicros);
    this.#write([...this.#byName.values(), group], this.#nextGroupId + 1);
    this.#nextGroupId += 1;
    this.#byName.set(group.name, group);
    return group;
  }

  /** Throws GROUP_NOT_FOUND, and what the disk refuses. */
  drop(name: string): GroupSchema {
    const dropped = this.get(name);
    const rest = [...this.#byName.values()].filter((group) => group !== dropped);
    this.#write(rest, this.#nextGroupId);
    this.#byName.delete(name);
    return dropped;
  }

  /** Throws GROUP_NOT_FOUND, SCHEMA_INVALID, FEATURE_NOT_FOUND, LIMIT_EXCEEDED, and what the disk refuses. */
  alter(name: string, change: GroupChange, nowMicros: number): GroupSchema {
    const before = this.get(name);
    const after = changeSchema(before, change, nowMicros);
    if (after === before) return before;
    const groups = [...this.#byName.values()].map((group) => (group === before ? after : group));
    this.#write(groups, this.#nextGroupId);
    this.#byName.set(name, after);
    return after;
  }

  #write(groups: GroupSchema[], nextGroupId: number): void {
    writeCatalog(this.#disk, this.#path, { format: CATALOG_FORMAT, nextGroupId, groups });
  }
}

function writeCatalog(disk: Disk, path: string, file: CatalogFile): void {
  const text = `${JSON.stringify(file, undefined, 2)}\n`;
  try {
    disk.writeFileDurable(path, Buffer.from(text, 'utf8'));
  } catch (error) {
    const isFull = (error as NodeJS.ErrnoException).code === 'ENOSPC';
    const message = `the catalog could not be written to ${path}: ${messageOf(error)}`;
    throw new ServerError(isFull ? 'STORAGE_FULL' : 'INTERNAL', message, { cause: error });
  }
}

function parseCatalog(path: string, bytes: Uint8Array): CatalogFile {
  let parsed: Partial<CatalogFile> | null;
  try {
    parsed = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<CatalogFile> | null;
  } catch (error) {
    throw invalid(path, `it is no JSON: ${messageOf(error)}`, error);
  }
  const format = parsed?.format;
  if (parsed === null || typeof format !== 'number') throw invalid(path, 'it has no format number');
  if (format > CATALOG_FORMAT) {
    throw new ServerError(
      'DATA_DIRECTORY_NEWER',
      `${path} has format ${format}, made by a newer version; this one reads up to ${CATALOG_FORMAT}`,
    );
  }
  const { nextGroupId, groups } = parsed;
  if (!Number.isInteger(nextGroupId) || !Array.isArray(groups)) {
    throw invalid(path, 'nextGroupId and groups are expected');
  }
  const checked = groups.map((group) => checkGroup(path, group, nextGroupId!));
  const ids = new Set(checked.map((group) => group.id));
  const names = new Set(checked.map((group) => group.name));
  if (ids.size !== checked.length || names.size !== checked.length) {
    throw invalid(path, 'two groups share an id or a name');
  }
  return { format: CATALOG_FORMAT, nextGroupId: nextGroupId!, groups: checked };
}

function checkGroup(path: string, group: unknown, nextGroupId: number): GroupSchema {
  try {
    const schema = validateSchema(group);
    if (schema.id < nextGroupId) return schema;
  } catch (error) {
    throw invalid(path, messageOf(error), error);
  }
  throw invalid(path, `a group has an id that is not below nextGroupId ${nextGroupId}`);
}

function invalid(path: string, reason: string, cause?: unknown): ServerError {
  return new ServerError('DATA_DIRECTORY_INVALID', `${path} is not a catalog: ${reason}`, { cause });
}
