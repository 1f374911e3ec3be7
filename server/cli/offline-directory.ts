/**
 * A data directory for the commands that work on it while no node runs: `verify`, `repair` and `inspect`.
 *
 * I1  It is locked, as a node locks it, so no node runs and none starts meanwhile. It is never made.
 * I2  A damaged catalog does not stop these commands: they name groups by their numbers then.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Catalog } from '../catalog.ts';
import { type DataDirectory, openDataDirectory } from '../data-directory.ts';
import { nodeClock, nodeDisk, nodeRandom } from '../node-environment.ts';
import { messageOf, ServerError } from '../server-error.ts';

export interface OfflineDirectory {
  readonly directory: DataDirectory;
  /** Names of groups, by id. */
  readonly groupNames: ReadonlyMap<number, string>;
  /** Why the catalog could not be read; a node would not start. */
  readonly catalogFault: string | undefined;
}

/** Throws DATA_DIRECTORY_INVALID, _LOCKED, _NEWER. Close `directory` when done. */
export function openOffline(path: string): OfflineDirectory {
  if (!existsSync(join(path, 'node.json'))) {
    throw new ServerError(
      'DATA_DIRECTORY_INVALID',
      `${resolve(path)} is no data directory: it has no node.json`,
    );
  }
  const directory = openDataDirectory({
    path,
    defaultShards: 1,
    disk: nodeDisk,
    random: nodeRandom,
    clock: nodeClock,
  });
  try {
    const groups = Catalog.open(nodeDisk, directory.catalogPath).groups();
    return {
      directory,
      groupNames: new Map(groups.map(({ id, name }) => [id, name])),
      catalogFault: undefined,
    };
  } catch (error) {
    return { directory, groupNames: new Map(), catalogFault: messageOf(error) };
  }
}

/** Resolves in a later turn, so that signals and progress get theirs. */
export function pause(): Promise<void> {
  return new Promise((done) => setImmediate(done));
}
