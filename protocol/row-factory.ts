/**
 * Row objects of one shape: a function from values to an object literal, made once per list of names.
 *
 * Filling an object by `row[name] = value` costs 28 ns a property, because one store site sees every name and the
 * engine gives up on it; a literal costs 2–4. A literal needs its names in source text, so this one file makes a
 * function from text: the names, as JSON strings, are all that goes into it. Where a process forbids that
 * (--disallow-code-generation-from-strings), rows come from a loop, slower and otherwise the same.
 */

export type RowFactory = (values: readonly unknown[]) => Record<string, unknown>;

/** A function that makes {names[0]: values[0], …} with its properties in that order. */
export function compileRowFactory(names: readonly string[]): RowFactory {
  // In a literal this one name would set the prototype; schemas refuse it, and so the loop may have it.
  if (names.includes('__proto__')) return loopFactory(names);
  const properties = names.map((name, index) => `${JSON.stringify(name)}: values[${index}]`);
  try {
    return new Function('values', `return {${properties.join(', ')}};`) as RowFactory;
  } catch {
    // An EvalError: the process was started without code generation.
    return loopFactory(names);
  }
}

/** The same without generated code. */
export function loopFactory(names: readonly string[]): RowFactory {
  return (values) => {
    const row: Record<string, unknown> = {};
    for (let index = 0; index < names.length; index++) row[names[index]!] = values[index];
    return row;
  };
}
