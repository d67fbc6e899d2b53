import { readFile } from "node:fs/promises";
import { eventually } from "./process.js";

const kept = new Set<LogFile>();

/**
 * What a daemon writes. How many lines something takes depends on how often a busy machine repeats itself, so a test asks for what was
 * written since a moment, never for a number of lines.
 */
export class LogFile {
  #mark = 0;

  constructor(private readonly file: string) {
    kept.add(this);
  }

  /** All of it; nothing before the daemon has begun to write. */
  whole(): Promise<string> {
    return readFile(this.file, "utf8").catch(() => "");
  }

  /** What it has written since the last mark, or since it began. */
  async sinceMark(): Promise<string> {
    return (await this.whole()).slice(this.#mark);
  }

  /** From here on; a line that is being written counts as new. */
  async mark(): Promise<void> {
    this.#mark = (await this.whole()).lastIndexOf("\n") + 1;
  }

  /** It is about to be removed. */
  close(): void {
    kept.delete(this);
  }
}

/** Marks the logs of all daemons that run now. */
export async function markLogs(): Promise<void> {
  await Promise.all([...kept].map((log) => log.mark()));
}

/** What all daemons that run now have logged since the mark: of each the end, since floods may be among it. */
export async function recentLogs(characters = 12_000): Promise<string> {
  const logs = await Promise.all([...kept].map((log) => log.sinceMark()));
  return logs.map((text, n) => `— daemon ${n + 1} —\n${text.slice(-characters)}`).join("\n");
}

/** Resolves once a daemon has logged what matches since the mark; it may be behind with what the other end knows already. */
export async function logged(daemon: { log(): Promise<string> }, wanted: RegExp): Promise<void> {
  await eventually(`a daemon logs ${wanted}`, async () => wanted.test(await daemon.log()) || undefined);
}
