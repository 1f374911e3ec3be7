/**
 * Defaults of features: the literals that a schema may give, and the values that they read as.
 *
 *   type                    literal                                    reads as
 *   bool                    true or false                              the same
 *   int8, int16, int32      an integer in range                        the same
 *   int64                   a safe integer                             bigint
 *   float32, float64        a finite number                            the same; float32 rounded to it
 *   timestamp               µs since 1970, or a Date                   number of µs
 *   string                  text of at most DEFAULT_TEXT_BYTES_MAX     the same
 *
 * The other types take none: their values have no plain form in JSON, and a schema is no place for large values.
 */
import { timestampMicros } from './key-codec.ts';
import { DEFAULT_TEXT_BYTES_MAX } from './limits.ts';
import { describeValue, ProtocolError } from './protocol-error.ts';
import { KIND_OF_TYPE, KIND_STRING } from './row-layout.ts';
import { writeNumber } from './scalar-codec.ts';
import type { FeatureDefault, FeatureSpec, FeatureType } from './schema.ts';
import { isWellFormed } from './text.ts';

const SCRATCH: DataView = new DataView(new ArrayBuffer(8));

/** The literal as schemas hold it. Throws SCHEMA_INVALID. */
export function checkDefault(value: unknown, path: string, type: FeatureType): FeatureDefault {
  switch (type) {
    case 'bool':
      return typeof value === 'boolean' ? value : refuse(path, value, 'true or false');
    case 'string':
      return checkText(value, path);
    case 'timestamp': {
      const micros = timestampMicros(value);
      return Number.isNaN(micros) ? refuse(path, value, 'a Date, or microseconds since 1970') : micros;
    }
    default:
      if (KIND_OF_TYPE[type] > KIND_STRING || type === 'vector') {
        return refuse(path, value, `no default beside type ${type}; scalars and strings take one`);
      }
      return checkNumber(value, path, type);
  }
}

/** What a row that says nothing of the feature reads as: the default, in the type that rows read as, or null. */
export function defaultValue(feature: FeatureSpec): boolean | number | bigint | string | null {
  const { type } = feature;
  const literal = feature.default;
  if (literal === undefined) return null;
  if (type === 'int64') return BigInt(literal);
  return type === 'float32' ? Math.fround(literal as number) : literal;
}

function checkNumber(value: unknown, path: string, type: FeatureType): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  const isHeld =
    typeof number === 'number' &&
    Number.isFinite(number) &&
    writeNumber(SCRATCH, 0, KIND_OF_TYPE[type], number);
  return isHeld ? number : refuse(path, value, `a finite number that ${type} holds`);
}

function checkText(value: unknown, path: string): string {
  if (typeof value !== 'string' || !isWellFormed(value)) return refuse(path, value, 'well-formed text');
  const bytes = Buffer.byteLength(value, 'utf8');
  if (bytes <= DEFAULT_TEXT_BYTES_MAX) return value;
  return refuse(path, value, `at most ${DEFAULT_TEXT_BYTES_MAX} bytes of UTF-8, this has ${bytes}`);
}

function refuse(path: string, value: unknown, allowed: string): never {
  throw new ProtocolError('SCHEMA_INVALID', `${path}: got ${describeValue(value)}; allowed: ${allowed}`);
}
