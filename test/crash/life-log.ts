/**
 * What was sent and acknowledged of one group's keys, in all lives, and whether what a life finds can be so.
 *
 *   the version found  ≥  the newest one acknowledged of the key        nothing acknowledged is lost
 *   the version found was sent, and its bytes are its own               nothing is made up
 *   as of a moment: the newest acknowledged up to it, or a later one that was sent      history is whole
 *
 * A version that was sent and not acknowledged is there or not; the first time that somebody looks decides it for good.
 */
import assert from 'node:assert/strict';
import { LIFE_KEYS, type LifeKind, type LifeWrite } from './life-plan.ts';

interface LoggedVersion {
  readonly kind: LifeKind;
  state: 'sent' | 'there' | 'absent';
}

export class LifeLog {
  readonly sent: number[] = new Array<number>(LIFE_KEYS).fill(0);
  /** The newest that is surely there, backfilled ones aside. */
  readonly #newest: number[] = new Array<number>(LIFE_KEYS).fill(0);
  /** By key and version. */
  readonly #versions: Map<number, LoggedVersion>[] = Array.from({ length: LIFE_KEYS }, () => new Map());

  send({ kind, keys, versions }: LifeWrite): void {
    for (const [at, key] of keys.entries()) {
      const version = versions[at] as number;
      this.sent[key] = Math.max(this.sent[key] as number, version);
      this.#versions[key]!.set(version, { kind, state: 'sent' });
    }
  }

  acknowledge({ keys, versions }: LifeWrite): void {
    for (const [at, key] of keys.entries()) this.#isThere(key, versions[at] as number);
  }

  /** A lookup. Throws when the key cannot be as it was found. */
  found(key: number, version: number, where: string): void {
    const floor = this.#newest[key] as number;
    const versions = this.#versions[key]!;
    const said = `${where}: key ${key} has version ${version}; ${floor} was acknowledged, ${this.sent[key]} sent`;
    if (version === 0) {
      const isGone = [...versions].some(
        ([sent, { kind }]) => sent >= floor && (kind === 'remove' || kind === 'expired'),
      );
      assert.ok(floor === 0 || isGone, said);
      return;
    }
    assert.ok(version >= floor && versions.get(version)?.kind === 'put', said);
    assert.notEqual(versions.get(version)?.state, 'absent', said);
    this.#isThere(key, version);
  }

  /** A read as of the event time of `version`, up to a read point that was closed after all that was sent so far. */
  foundPast(key: number, version: number, found: number, where: string): void {
    const upTo = [...this.#versions[key]!].filter(([sent]) => sent <= version).sort(([a], [b]) => b - a);
    for (const [sent, logged] of upTo) {
      if (logged.state === 'absent') continue;
      // Nothing has expired as of the time of its event.
      const isSeen = found === (logged.kind === 'remove' ? 0 : sent);
      if (isSeen) {
        if (found > 0) this.#isThere(key, sent);
        return;
      }
      const said = `${where}: key ${key} was version ${found} as of ${version}; ${sent} was acknowledged`;
      assert.notEqual(logged.state, 'there', said);
      logged.state = 'absent';
    }
    assert.equal(
      found,
      0,
      `${where}: key ${key} was version ${found} as of ${version}, which was never sent`,
    );
  }

  #isThere(key: number, version: number): void {
    const logged = this.#versions[key]!.get(version) as LoggedVersion;
    logged.state = 'there';
    if (logged.kind !== 'backfill') this.#newest[key] = Math.max(this.#newest[key] as number, version);
  }
}
