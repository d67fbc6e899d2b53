import { createHash } from "node:crypto";
import path from "node:path";
import { isFault } from "@sallyport/base";
import { type GatewayIntent, parseIntent } from "@sallyport/intent";
import { makeStateDirectory, readIfThere, replaceFile } from "./atomic-file.js";
import { fault } from "./faults.js";

const FORMAT = "sallyport-intent/1";

export interface LoadedIntent {
  readonly intent: GatewayIntent | undefined;
  /** Why what is there could not be used, for the log: `state/damaged`. */
  readonly damage: readonly Error[];
}

/**
 * The last good intent: the one that is confirmed, and the one before it in case the file of the first is damaged. One line with the
 * format and the body's SHA-256, then the body as it was received.
 */
export class IntentStore {
  readonly #file: string;
  readonly #previous: string;

  constructor(private readonly directory: string) {
    this.#file = path.join(directory, "intent.json");
    this.#previous = path.join(directory, "intent.previous.json");
  }

  /** @throws state/unwritable */
  async save(body: Uint8Array): Promise<void> {
    await makeStateDirectory(this.directory);
    const head = Buffer.from(`${FORMAT} ${createHash("sha256").update(body).digest("hex")}\n`);
    // A damaged file must not push out the good one before it.
    const sound = await this.#read(this.#file).then(
      (intent) => intent !== undefined,
      () => false,
    );
    await replaceFile(this.#file, Buffer.concat([head, body]), sound ? this.#previous : undefined);
  }

  async load(): Promise<LoadedIntent> {
    const damage: Error[] = [];
    for (const file of [this.#file, this.#previous]) {
      try {
        const intent = await this.#read(file);
        if (intent !== undefined) return { intent, damage };
      } catch (error) {
        damage.push(error as Error);
      }
    }
    return { intent: undefined, damage };
  }

  async #read(file: string): Promise<GatewayIntent | undefined> {
    const content = await readIfThere(file);
    if (content === undefined) return undefined;
    const end = content.indexOf("\n");
    const [format, digest] = content.subarray(0, Math.max(end, 0)).toString("latin1").split(" ");
    const body = content.subarray(end + 1);
    if (format !== FORMAT || createHash("sha256").update(body).digest("hex") !== digest) {
      throw fault("state/damaged", `${file} is not what was written`, { field: file });
    }
    try {
      return parseIntent(body.toString("utf8"));
    } catch (cause) {
      if (!isFault(cause)) throw cause;
      throw fault("state/damaged", `${file}: ${cause.message}`, { field: file, cause });
    }
  }
}
