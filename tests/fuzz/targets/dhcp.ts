import { deepStrictEqual } from "node:assert";
import { IpAddress, Prefix } from "@sallyport/base";
import { acknowledge, parseInform } from "../../../apps/agent/src/daemon/dhcp-message.ts";
import { FuzzInput, holds } from "./input.ts";

const HEADER = 240;
const MAX_REPLY = 1_200;

/** A question of a caller inside its tunnel, and the answer with as many networks as the input says. */
export function fuzz(data: Uint8Array): void {
  const input = new FuzzInput(data);
  const routes = Array.from({ length: input.u8() * 2 }, (_, n) =>
    Prefix.of(IpAddress.from(Uint8Array.of(10, n >> 8, n & 255, 0)), 8 + (n % 25)),
  );
  const dns = Array.from({ length: input.u8() % 80 }, (_, n) => IpAddress.from(Uint8Array.of(10, 0, 0, n)));
  const domain = input.u8() & 1 ? "corp.example" : undefined;
  const inform = parseInform(input.rest());
  if (!inform) return;
  const reply = acknowledge(inform, { server: IpAddress.from(Uint8Array.of(10, 0, 0, 1)), dns, domain, routes });
  holds(reply.length <= MAX_REPLY, () => `an answer of ${reply.length} octets`);
  deepStrictEqual(reply.slice(4, 8), inform.xid);
  deepStrictEqual(reply.slice(12, 16), inform.client.bytes);
  let at = HEADER;
  while (reply[at] !== 255) {
    holds(at < reply.length, () => "options without an end");
    at += 2 + (reply[at + 1] ?? 0);
  }
  holds(at === reply.length - 1, () => "octets after the end");
}
