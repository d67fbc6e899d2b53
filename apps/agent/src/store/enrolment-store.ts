import path from "node:path";
import { z } from "zod";
import { makeStateDirectory, readIfThere, replaceFile } from "./atomic-file.js";
import { fault } from "./faults.js";

const pem = z.string().startsWith("-----BEGIN");
const keyPair = z.object({
  /** PKCS#8, PEM. */
  privateKey: pem,
  /** PEM, leaf first, root last. */
  certificates: pem,
});

const enrolment = z.object({
  format: z.literal(1),
  gatewayId: z.string().min(1),
  gatewayName: z.string(),
  /** IKE identity, the dNSName of the identity's certificate. */
  identity: z.string().min(1),
  urls: z.array(z.url({ protocol: /^https$/ })).min(1),
  /** Root of the control channel, PEM. */
  controlCa: pem,
  control: keyPair,
  /** What IKE peers see, newest first; the one before is kept until no intent names it any more. */
  identities: z.array(keyPair).min(1).max(2),
});

/** What makes this machine a gateway: who it is, where its control plane is, and its keys. */
export type Enrolment = z.infer<typeof enrolment>;
export type StoredKeyPair = z.infer<typeof keyPair>;

/** Keeps the enrolment in one file, so that keys and certificates always belong together. */
export class EnrolmentStore {
  readonly file: string;

  constructor(private readonly directory: string) {
    this.file = path.join(directory, "enrolment.json");
  }

  /** @throws state/unwritable */
  async save(value: Enrolment): Promise<void> {
    await makeStateDirectory(this.directory);
    await replaceFile(this.file, `${JSON.stringify(enrolment.parse(value), null, 2)}\n`);
  }

  /** Undefined when this machine is not enrolled. @throws state/damaged */
  async load(): Promise<Enrolment | undefined> {
    const content = await readIfThere(this.file);
    if (content === undefined) return undefined;
    try {
      return enrolment.parse(JSON.parse(content.toString("utf8")));
    } catch (cause) {
      // The cause may quote the file, which holds keys.
      const expected = "the file that `sallyport-agent enrol` wrote; enrol again with a fresh token";
      const why = cause instanceof z.ZodError ? cause.issues[0]?.path.join(".") : "not JSON";
      throw fault("state/damaged", `${this.file} cannot be read: ${why}`, { field: this.file, expected });
    }
  }
}
