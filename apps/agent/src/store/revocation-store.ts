import { createHash } from "node:crypto";
import path from "node:path";
import { makeStateDirectory, readIfThere, replaceFile } from "./atomic-file.js";
import { fault } from "./faults.js";

/** Whom this gateway lets in no more. */
export type Refusal =
  /** `fingerprint`: SHA-256, lower-case hexadecimal. `notAfter`: milliseconds since 1970. */
  | { readonly kind: "certificate"; readonly fingerprint: string; readonly subject: string; readonly notAfter: number }
  /** Lower case. */
  | { readonly kind: "person"; readonly username: string };

/** The control plane's register of revocations as far as this gateway has it. */
export interface Register {
  readonly upTo: number;
  readonly refusals: readonly Refusal[];
}

const FORMAT = "sallyport-revocations/1";
export const EMPTY_REGISTER: Register = { upTo: 0, refusals: [] };

/** The register on disk: one line with the format and the SHA-256 of the rest, then JSON. */
export class RevocationStore {
  readonly #file: string;

  constructor(private readonly directory: string) {
    this.#file = path.join(directory, "revocations.json");
  }

  /** @throws state/unwritable */
  async save(register: Register): Promise<void> {
    await makeStateDirectory(this.directory);
    const body = JSON.stringify(register);
    await replaceFile(this.#file, `${FORMAT} ${digestOf(body)}\n${body}`);
  }

  /** Empty when there is none. @throws state/damaged */
  async load(): Promise<Register> {
    const content = (await readIfThere(this.#file))?.toString("utf8");
    if (content === undefined) return EMPTY_REGISTER;
    const end = content.indexOf("\n");
    const body = content.slice(end + 1);
    if (content.slice(0, Math.max(end, 0)) !== `${FORMAT} ${digestOf(body)}`) {
      throw fault("state/damaged", `${this.#file} is not what was written`, { field: this.#file });
    }
    return JSON.parse(body) as Register;
  }
}

const digestOf = (body: string) => createHash("sha256").update(body).digest("hex");
