/**
 * The sources without a test file of their own name, each with the test that covers it and the reason.
 *
 * A list and not a rule of thumb: leaving out a test is a decision, and here it is made in public. The tidy test
 * refuses a line whose source is gone, whose covering test is gone, or whose source got a test of its own.
 */

export interface Coverage {
  /** From test/. */
  by: string;
  why: string;
}

export const COVERED_ELSEWHERE: Readonly<Record<string, Coverage>> = {};
