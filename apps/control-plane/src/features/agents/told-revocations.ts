import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type ControlMessage, ControlMessageSchema, type RevocationSchema } from "@sallyport/contract";
import type { Revocation } from "../../platform/prisma/generated/client.js";
import type { Turns } from "../../platform/slices.js";
import type { RegisterPart } from "../revocations/revocation.service.js";

/** A part of the register as agents are told it: one message for all that stand at the same number. */
export interface ToldPart extends Pick<RegisterPart, "upTo" | "more"> {
  readonly message: ControlMessage;
}

/** Reads the register after a number. */
export type ReadRegister = (organizationId: string, after: number) => Promise<ToldPart>;

/** Up to where one agent was told the register on its stream, and the telling of the rest, one part after the other. */
export class ToldRevocations {
  #upTo: number;
  #told = false;
  #tail: Promise<void> = Promise.resolve();

  /** `upTo`: where the agent says that it is. */
  constructor(
    upTo: number,
    private readonly organizationId: string,
    private readonly send: (message: ControlMessage) => void,
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
      if (isNews || !this.#told) this.send(part.message);
      this.#told = true;
      this.#upTo = part.upTo;
      more = part.more;
    }
  }
}

export const toldPart = ({ entries, upTo, anew, more }: RegisterPart): ToldPart => {
  const value = { revocations: entries.map(entryOf), upTo, anew, more };
  return { upTo, more, message: create(ControlMessageSchema, { body: { case: "revocations", value } }) };
};

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
  const parts = new Map<string, Promise<ToldPart>>();
  return (organizationId, after) => {
    const key = `${organizationId} ${after}`;
    const part = parts.get(key) ?? read(organizationId, after);
    parts.set(key, part);
    return part;
  };
}

/** Those who wait for the same part send it one after the other. */
export function inTurns(read: ReadRegister, turns: Pick<Turns, "next">): ReadRegister {
  return async (organizationId, after) => {
    const part = await read(organizationId, after);
    await turns.next();
    return part;
  };
}

/**
 * One read at a time for all who stand at the same number, and one more for those who come meanwhile: each is told by a read that began
 * after it asked.
 */
export function readTogether(read: ReadRegister): ReadRegister {
  const running = new Map<string, Promise<unknown>>();
  const next = new Map<string, Promise<ToldPart>>();
  return (organizationId, after) => {
    const key = `${organizationId} ${after}`;
    const waiting = next.get(key);
    if (waiting) return waiting;
    const mine = (running.get(key) ?? Promise.resolve()).then(() => {
      next.delete(key);
      const part = read(organizationId, after);
      const over = part
        .catch(() => undefined)
        .then(() => {
          if (running.get(key) === over) running.delete(key);
        });
      running.set(key, over);
      return part;
    });
    next.set(key, mine);
    return mine;
  };
}
