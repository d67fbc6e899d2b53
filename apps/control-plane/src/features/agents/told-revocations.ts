import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { RevocationSchema, RevocationsSchema } from "@sallyport/contract";
import type { Revocation } from "../../platform/prisma/generated/client.js";
import type { RegisterPart } from "../revocations/revocation.service.js";

type Message = MessageInitShape<typeof RevocationsSchema>;

/** Reads the register after a number. */
export type ReadRegister = (organizationId: string, after: number) => Promise<RegisterPart>;

/** Up to where one agent was told the register on its stream, and the telling of the rest, one part after the other. */
export class ToldRevocations {
  #upTo: number;
  #told = false;
  #tail: Promise<void> = Promise.resolve();

  /** `upTo`: where the agent says that it is. */
  constructor(
    upTo: number,
    private readonly organizationId: string,
    private readonly send: (message: Message) => void,
  ) {
    this.#upTo = upTo;
  }

  /** Tells what there is; the first time also when that is nothing. */
  tell(read: ReadRegister): Promise<void> {
    const mine = this.#tail.then(() => this.#tell(read));
    this.#tail = mine.catch(() => undefined);
    return mine;
  }

  async #tell(read: ReadRegister): Promise<void> {
    for (let more = true; more; ) {
      const part = await read(this.organizationId, this.#upTo);
      const isNews = part.upTo !== this.#upTo;
      if (isNews || !this.#told) this.send(messageOf(part));
      this.#told = true;
      this.#upTo = part.upTo;
      more = part.more;
    }
  }
}

const messageOf = ({ entries, upTo, anew, more }: RegisterPart): Message => ({
  revocations: entries.map(entryOf),
  upTo,
  anew,
  more,
});

function entryOf({
  number,
  lifted,
  kind,
  key,
  name,
  notAfter,
  at,
}: Revocation): MessageInitShape<typeof RevocationSchema> {
  const about = { number, lifted, at: timestampFromDate(at) };
  if (kind === "PERSON") return { ...about, subject: { case: "person", value: { username: key } } };
  const fingerprint = Uint8Array.from(Buffer.from(key, "hex"));
  const value = { fingerprint, subject: name, ...(notAfter && { notAfter: timestampFromDate(notAfter) }) };
  return { ...about, subject: { case: "certificate", value } };
}

/** The same part is read once for all who need it. For one round of telling. */
export function readOnce(read: ReadRegister): ReadRegister {
  const parts = new Map<string, Promise<RegisterPart>>();
  return (organizationId, after) => {
    const key = `${organizationId} ${after}`;
    const part = parts.get(key) ?? read(organizationId, after);
    parts.set(key, part);
    return part;
  };
}
