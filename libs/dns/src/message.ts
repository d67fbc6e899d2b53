import { isFault, Reader, Writer } from "@sallyport/base";
import { malformed, readName, writeName } from "./name.js";

/** Types of records (RFC 1035 §3.2.2, RFC 8945 §4.1). */
export const TYPE = { SOA: 6, TXT: 16, TSIG: 250, ANY: 255 } as const;
/** Classes (RFC 1035 §3.2.4, RFC 2136 §1.3). */
export const CLASS = { IN: 1, NONE: 254, ANY: 255 } as const;
export const OPCODE = { QUERY: 0, UPDATE: 5 } as const;

/** Response codes by number (RFC 1035 §4.1.1, RFC 2136 §2.2, RFC 8945 §3). */
const RCODES: Readonly<Record<number, string>> = {
  0: "NOERROR",
  1: "FORMERR",
  2: "SERVFAIL",
  3: "NXDOMAIN",
  4: "NOTIMP",
  5: "REFUSED",
  6: "YXDOMAIN",
  7: "YXRRSET",
  8: "NXRRSET",
  9: "NOTAUTH",
  10: "NOTZONE",
  16: "BADSIG",
  17: "BADKEY",
  18: "BADTIME",
  22: "BADTRUNC",
};
export const rcodeName = (code: number) => RCODES[code] ?? `RCODE${code}`;

export interface Question {
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

export interface ResourceRecord extends Question {
  /** Seconds. */
  readonly ttl: number;
  /** RDATA as it stands in the message: names in it may be compressed. */
  readonly data: Uint8Array;
}

/** A message (RFC 1035 §4.1). In an UPDATE the sections are zone, prerequisite, update and additional data (RFC 2136 §2). */
export interface Message {
  readonly id: number;
  readonly response: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly rcode: number;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
}

export interface DecodedMessage extends Message {
  /** Where the last record begins: a TSIG record is the last one (RFC 8945 §5.1). Undefined: there is no record. */
  readonly lastRecordAt: number | undefined;
}

export const MAX_MESSAGE = 65_535;
/** Where the number of additional records stands. */
export const ARCOUNT_AT = 10;
/** Octets of the smallest question, and of the smallest record. */
const SMALLEST = { question: 5, record: 11 } as const;

export function encodeMessage(message: Message): Uint8Array {
  const { id, response, opcode, authoritative, rcode, questions, answers, authorities, additionals } = message;
  const w = new Writer(512);
  w.u16(id).u16((Number(response) << 15) | (opcode << 11) | (Number(authoritative) << 10) | rcode);
  for (const section of [questions, answers, authorities, additionals]) w.u16(section.length);
  for (const question of questions) writeQuestion(w, question);
  for (const record of [...answers, ...authorities, ...additionals]) writeRecord(w, record);
  return w.done().slice();
}

function writeQuestion(w: Writer, { name, type, class: of }: Question): void {
  writeName(w, name);
  w.u16(type).u16(of);
}

export function writeRecord(w: Writer, record: ResourceRecord): void {
  writeQuestion(w, record);
  w.u32(record.ttl).u16(record.data.length).bytes(record.data);
}

/** @throws dns/malformed */
export function decodeMessage(octets: Uint8Array): DecodedMessage {
  if (octets.length > MAX_MESSAGE) throw malformed("message", `${octets.length} octets`);
  try {
    return decode(octets);
  } catch (error) {
    if (isFault(error) && error.code.startsWith("base/")) throw malformed(error.field ?? "message", error.message);
    throw error;
  }
}

function decode(octets: Uint8Array): DecodedMessage {
  const r = new Reader(octets);
  const id = r.u16("id");
  const flags = r.u16("flags");
  const [questions = 0, answers = 0, authorities = 0, additionals = 0] = [0, 1, 2, 3].map(() => r.u16("counts"));
  const least = questions * SMALLEST.question + (answers + authorities + additionals) * SMALLEST.record;
  if (least > r.remaining) throw malformed("counts", "more than there is room for");
  let lastRecordAt: number | undefined;
  const question = (): Question => ({ name: readName(r, octets), type: r.u16("type"), class: r.u16("class") });
  const record = (): ResourceRecord => {
    lastRecordAt = r.offset;
    const of = question();
    const ttl = r.u32("ttl");
    return { ...of, ttl, data: r.bytes(r.u16("rdlength"), "rdata") };
  };
  const list = <T>(count: number, read: () => T) => Array.from({ length: count }, read);
  const message = {
    id,
    response: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 0xf,
    authoritative: (flags & 0x400) !== 0,
    rcode: flags & 0xf,
    questions: list(questions, question),
    answers: list(answers, record),
    authorities: list(authorities, record),
    additionals: list(additionals, record),
  };
  r.end("message");
  return { ...message, lastRecordAt };
}
