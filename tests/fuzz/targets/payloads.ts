import { deepStrictEqual } from "node:assert";
import { checkPlacement, decodeInner, encodeInner, NOTIFY, NOTIFY_DATA, proposalsText } from "@sallyport/ike";
import { FuzzInput, total } from "./input.ts";

const NAMES = new Map<number, string>(Object.entries(NOTIFY).map(([name, type]) => [type, name]));

/** What comes out of decryption: a chain of payloads in one of the exchanges, notifications with data of their own. */
export function fuzz(data: Uint8Array): void {
  const input = new FuzzInput(data);
  const exchange = 34 + (input.u8() % 10);
  const response = (input.u8() & 1) === 1;
  const first = input.u8();
  const plaintext = input.rest();
  const payloads = total(() => decodeInner(first, plaintext));
  if (!payloads) return;
  total(() => checkPlacement({ header: { exchange, response }, clear: [], inner: payloads }));
  for (const p of payloads) {
    if (p.kind === "SA") proposalsText(p.proposals);
    if (p.kind !== "N") continue;
    const name = NAMES.get(p.type);
    if (name !== undefined && name in NOTIFY_DATA) total(() => NOTIFY_DATA[name as keyof typeof NOTIFY_DATA].read(p));
  }
  const again = encodeInner(payloads);
  deepStrictEqual(decodeInner(again.firstPayload, again.plaintext), payloads);
}
