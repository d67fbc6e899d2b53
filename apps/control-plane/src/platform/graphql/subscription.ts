import type { Log } from "../log/log.js";
import { shownError } from "./errors.js";

/**
 * What a subscription's resolver gives back: `source`, which waits for `news`. Its errors are made fit to be shown, since Mercurius
 * sends them as they are; and when the subscriber goes, `news` ends first, since a generator that waits does not notice `return`.
 */
export function subscription<T>(
  news: AsyncGenerator<unknown, void, undefined>,
  source: AsyncGenerator<T, void, undefined>,
  log: Log,
): AsyncGenerator<T, void, undefined> {
  async function* run(): AsyncGenerator<T, void, undefined> {
    try {
      yield* source;
    } catch (error) {
      throw shownError(error as Error, log);
    } finally {
      await news.return();
    }
  }
  const generator = run();
  const end = generator.return.bind(generator);
  generator.return = async (value) => {
    await news.return();
    return end(value);
  };
  return generator;
}
