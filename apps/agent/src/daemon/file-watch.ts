import { stat } from "node:fs/promises";

const LOOK_MS = 1_000;

/**
 * Looks at files every second and reports when one of them is another than before: written, or another file renamed into its place.
 * Reports are not given side by side; what could not be taken over is reported again when the files change again.
 */
export class FileWatch {
  #seen: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    private readonly files: readonly string[],
    private readonly changed: () => Promise<void>,
  ) {}

  /** From now on changes count. */
  async start(): Promise<void> {
    this.#seen = await this.#look();
    this.#schedule();
  }

  /** Reports whatever the files are, after a signal for example. */
  async report(): Promise<void> {
    clearTimeout(this.#timer);
    this.#seen = await this.#look();
    await this.changed();
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#due(), LOOK_MS).unref();
  }

  async #due(): Promise<void> {
    const seen = await this.#look();
    if (seen === this.#seen) this.#schedule();
    else await this.report();
  }

  async #look(): Promise<string> {
    const states = await Promise.all(
      this.files.map((file) =>
        stat(file, { bigint: true }).then(
          ({ ino, size, mtimeNs }) => `${ino} ${size} ${mtimeNs}`,
          () => "none",
        ),
      ),
    );
    return states.join(", ");
  }
}
