import { deepStrictEqual } from "node:assert";
import {
  checkAnswer,
  decodeMessage,
  encodeMessage,
  signMessage,
  type TsigKey,
  textQuery,
  textsOf,
  verifyAnswer,
} from "@sallyport/dns";
import { holds, total } from "./input.ts";

const NAME = "_acme-challenge.vpn.example.org";
const QUESTION = textQuery(0x1234, NAME);
const KEY: TsigKey = { name: "key", algorithm: "hmac-sha256", secret: Buffer.alloc(32, 0x5a) };
const REQUEST_MAC = Buffer.alloc(32, 0xa5);
const NOW = 1_767_225_600;
/** Of a message that has room for a signature. */
const MOST = 65_000;

/** What a name server answers: to a question, and to an update, unsigned and signed by who has the key. */
export function fuzz(input: Uint8Array): void {
  // A Buffer's parts are Buffers, which are not equal to what is written and read again.
  const octets = new Uint8Array(input);
  holds(total(() => verifyAnswer(octets, KEY, NOW, REQUEST_MAC)) === undefined, () => "an answer that nobody signed");
  const message = total(() => decodeMessage(octets));
  if (message === undefined) return;
  total(() => checkAnswer(QUESTION, message));
  total(() => textsOf(message, NAME));
  // Names with octets that need an escape are read, and never written.
  const written = total(() => encodeMessage(message));
  if (written && written.length < MOST) {
    deepStrictEqual({ ...decodeMessage(written), lastRecordAt: 0 }, { ...message, lastRecordAt: 0 });
  }
  if (octets.length > MOST) return;
  const { message: signed } = signMessage(octets, KEY, NOW, REQUEST_MAC);
  deepStrictEqual(verifyAnswer(signed, KEY, NOW, REQUEST_MAC).answers, message.answers);
}
