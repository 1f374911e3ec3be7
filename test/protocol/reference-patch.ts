/**
 * The merge of a patch as slowly and plainly as it can be said, on decoded values: what row-patch-merge.ts is compared
 * with. int64 by BigInt, float32 by Math.fround, lists by arrays.
 */
import { type FeatureSpec, PatchStep } from '../../protocol/index.ts';
import { STEP_ADD, STEP_APPEND, STEP_MAX, STEP_MIN, STEP_SET } from '../../protocol/row-patch.ts';

type Values = Record<string, unknown>;

const INTEGER_BITS: Readonly<Record<string, bigint>> = { int8: 8n, int16: 16n, int32: 32n, int64: 64n };

/** The values that the patch leads to, or null when it leads out of an integer's range. */
export function referenceMerge(
  features: readonly FeatureSpec[],
  base: Values,
  patch: Readonly<Record<string, unknown>>,
): Values | null {
  const merged: Values = {};
  for (const feature of features) {
    const given = patch[feature.name];
    const before = base[feature.name] ?? null;
    if (given === undefined) merged[feature.name] = before;
    else if (!(given instanceof PatchStep)) merged[feature.name] = given;
    else {
      const after = applied(feature, before, given);
      if (after === undefined) return null;
      merged[feature.name] = after;
    }
  }
  return merged;
}

function applied(feature: FeatureSpec, before: unknown, step: PatchStep): unknown {
  switch (step.kind) {
    case STEP_SET:
      return step.value;
    case STEP_ADD:
      return before === null ? step.value : sum(feature, before, step.value);
    case STEP_MIN:
      return isGone(before) || (step.value as number) < (before as number) ? step.value : before;
    case STEP_MAX:
      return isGone(before) || (step.value as number) > (before as number) ? step.value : before;
    case STEP_APPEND: {
      const items = Array.isArray(step.value) ? step.value : [step.value];
      return [...((before ?? []) as unknown[]), ...items].slice(-step.bound);
    }
    default:
      throw new Error(`a step of kind ${step.kind}`);
  }
}

function isGone(value: unknown): boolean {
  return value === null || Number.isNaN(value);
}

function sum({ type }: FeatureSpec, before: unknown, given: unknown): unknown {
  if (type === 'float64') return (before as number) + (given as number);
  if (type === 'float32') return Math.fround((before as number) + (given as number));
  const total = BigInt(before as bigint) + BigInt(given as bigint);
  if (BigInt.asIntN(Number(INTEGER_BITS[type]), total) !== total) return undefined;
  return type === 'int64' ? total : Number(total);
}
