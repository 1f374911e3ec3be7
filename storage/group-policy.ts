/**
 * What storage must know of a group beyond its id: how long its history counts, how late a write may come, and what is
 * durable. The server derives it from the group's schema and hands it in; a group without a policy was dropped.
 */

/** Writes may be this late unless the group says otherwise: a week, the longest that pipelines are down and replayed. */
export const LATENESS_SECONDS_DEFAULT: number = 7 * 86_400;

export interface GroupPolicy {
  /** Reads as of moments within this are answered exactly; Infinity keeps all history. µs. */
  readonly retentionMicros: number;
  /** Writes with event times older than this (or than the retention, if that is longer) are TOO_LATE. µs. */
  readonly latenessMicros: number;
  /** Puts of earlier event times are TOO_LATE whatever the lateness: what would have hidden them may be gone. µs. */
  readonly putsFromMicros?: number;
  /** 'journal': acknowledged when synced. 'memory': acknowledged at once; a crash loses at most what is in flight. */
  readonly durability: 'journal' | 'memory';
}

export interface GroupPolicies {
  /** Undefined: the group was dropped, and nothing of it will be read again. */
  policyOf(group: number): GroupPolicy | undefined;
}
