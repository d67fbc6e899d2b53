import { decodeInner, identificationText, messageText, printable } from "@sallyport/ike";
import { FuzzInput, holds, total } from "./input.ts";

/** What forges a line or acts on a terminal. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/u;
const MAX_LINE = 400_000;

/** What logs, traces and errors say of a peer's octets: one line each, bounded, without characters that do anything. */
export function fuzz(data: Uint8Array): void {
  const input = new FuzzInput(data);
  const exchange = input.u8();
  const first = input.u8();
  const octets = input.rest();
  const header = { initiatorSpi: 1n, responderSpi: 2n, exchange, initiator: true, response: false, messageId: 3 };
  const payloads = total(() => decodeInner(first, octets)) ?? [];
  const lines = [printable(octets), printable(new TextDecoder().decode(octets)), ...messageText(header, payloads)];
  for (const p of payloads) if (p.kind === "IDi" || p.kind === "IDr") lines.push(identificationText(p));
  for (const line of lines) {
    holds(!UNSAFE.test(line), () => `a line with ${JSON.stringify(UNSAFE.exec(line))}`);
    holds(line.length <= MAX_LINE, () => `a line of ${line.length} characters`);
  }
}
