/** From code that throws what it likes to what this package promises: rejections and throws that are MillraceErrors. */
import { type MillraceError, toMillraceError } from './errors.ts';

/** A promise whose executor may throw anything: it rejects with a MillraceError. */
export function promised<T>(
  executor: (resolve: (value: T) => void, reject: (error: MillraceError) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    try {
      executor(resolve, reject);
    } catch (error) {
      reject(toMillraceError(error));
    }
  });
}

/** What `make` gives; what it throws, as a MillraceError. */
export function settle<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw toMillraceError(error);
  }
}
