import { fault } from "./faults.js";
import { CLASS, type DecodedMessage, type Message, OPCODE, type ResourceRecord, TYPE } from "./message.js";
import { sameName } from "./name.js";
import { readText, textData } from "./txt.js";

/** A TXT record that is to be there, or not to be there. */
export interface TextChange {
  readonly change: "add" | "remove";
  readonly name: string;
  readonly text: string;
  /** Seconds; of what is added. */
  readonly ttl: number;
}

const REQUEST = { response: false, authoritative: false, rcode: 0 } as const;

/** An UPDATE without prerequisites (RFC 2136 §2). Doing it twice does nothing more (§3.4.2.2, §3.4.2.4). */
export function updateOf(id: number, zone: string, changes: readonly TextChange[]): Message {
  const authorities = changes.map(({ change, name, text, ttl }): ResourceRecord => {
    const data = textData(text);
    return change === "add"
      ? { name, type: TYPE.TXT, class: CLASS.IN, ttl, data }
      : { name, type: TYPE.TXT, class: CLASS.NONE, ttl: 0, data };
  });
  const questions = [{ name: zone, type: TYPE.SOA, class: CLASS.IN }];
  return { ...REQUEST, id, opcode: OPCODE.UPDATE, questions, answers: [], authorities, additionals: [] };
}

/** A question for TXT records, without recursion: for a server that has the zone itself. */
export function textQuery(id: number, name: string): Message {
  const questions = [{ name, type: TYPE.TXT, class: CLASS.IN }];
  return { ...REQUEST, id, opcode: OPCODE.QUERY, questions, answers: [], authorities: [], additionals: [] };
}

/**
 * That an answer is to this request.
 * @throws dns/wrong-answer
 */
export function checkAnswer(request: Message, answer: DecodedMessage): void {
  const [asked] = request.questions;
  const [echoed] = answer.questions;
  // Refusals and answers to updates may leave the question out (RFC 2136 §3.8).
  const other = echoed && asked && (echoed.type !== asked.type || !sameName(echoed.name, asked.name));
  if (answer.response && answer.id === request.id && answer.opcode === request.opcode && !other) return;
  throw fault("dns/wrong-answer", "the answer is to another message", {
    value: `${answer.id}`,
    expected: `${request.id}`,
  });
}

/** Texts of the TXT records of `name` in an answer. */
export function textsOf(answer: Message, name: string): string[] {
  const records = answer.answers.filter((r) => r.type === TYPE.TXT && r.class === CLASS.IN && sameName(r.name, name));
  return records.map((r) => readText(r.data));
}
