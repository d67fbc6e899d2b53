import { randomInt } from "node:crypto";
import { connect } from "node:net";
import {
  checkAnswer,
  decodeMessage,
  encodeMessage,
  MAX_MESSAGE,
  rcodeName,
  signMessage,
  type TextChange,
  type TsigKey,
  textQuery,
  textsOf,
  updateOf,
  verifyAnswer,
} from "@sallyport/dns";
import { fault } from "./faults.js";

const TIMEOUT_MS = 10_000;
const MAX_ID = 0x1_0000;
/** NOERROR and NXDOMAIN: both say what there is. */
const KNOWS = [0, 3];
/** SERVFAIL. */
const SERVFAIL = 2;

/** `host:port`, with an IPv6 address in brackets. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

export function serverAddress(text: string): ServerAddress {
  const colon = text.lastIndexOf(":");
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: Number(text.slice(colon + 1)) };
}

const seconds = () => Math.floor(Date.now() / 1000);

/**
 * Changes a zone at its primary server (RFC 2136).
 * @throws dns/unreachable, dns/refused, dns/server-failed, and what `verifyAnswer` and `checkAnswer` throw
 */
export async function updateZone(
  server: string,
  key: TsigKey,
  zone: string,
  changes: readonly TextChange[],
): Promise<void> {
  const request = updateOf(randomInt(MAX_ID), zone, changes);
  const { message, mac } = signMessage(encodeMessage(request), key, seconds());
  const answer = verifyAnswer(await ask(server, message), key, seconds(), mac);
  checkAnswer(request, answer);
  if (answer.rcode === 0) return;
  const code = answer.rcode === SERVFAIL ? "dns/server-failed" : "dns/refused";
  const said = rcodeName(answer.rcode);
  throw fault(code, `${server} refuses to change ${zone}: ${said}`, { value: said, expected: "NOERROR" });
}

/**
 * Texts of the TXT records that a server of the zone shows for a name.
 * @throws dns/unreachable, dns/server-failed, and what `decodeMessage` and `checkAnswer` throw
 */
export async function textsAt(server: string, name: string): Promise<string[]> {
  const request = textQuery(randomInt(MAX_ID), name);
  const answer = decodeMessage(await ask(server, encodeMessage(request)));
  checkAnswer(request, answer);
  if (answer.authoritative && KNOWS.includes(answer.rcode)) return textsOf(answer, name);
  const said = rcodeName(answer.rcode);
  throw fault("dns/server-failed", `${server} does not answer for the zone of ${name}: ${said}`, {
    value: said,
    expected: "an authoritative answer",
  });
}

/** One message there, one back, over TCP (RFC 7766): nothing is cut off, and nobody beside the way can answer. */
function ask(server: string, message: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const unreachable = (why: string, cause?: Error) =>
      reject(fault("dns/unreachable", `${server} cannot be asked: ${why}`, { value: server, cause }));
    const socket = connect(serverAddress(server));
    const timer = setTimeout(() => {
      socket.destroy();
      unreachable(`no answer within ${TIMEOUT_MS / 1000} s`);
    }, TIMEOUT_MS);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    let got = Buffer.alloc(0);
    socket.on("connect", () => socket.write(Buffer.concat([length, message])));
    socket.on("data", (chunk) => {
      got = Buffer.concat([got, chunk]);
      const wanted = got.length < 2 ? MAX_MESSAGE : got.readUInt16BE();
      if (got.length < wanted + 2) return;
      resolve(Uint8Array.from(got.subarray(2, wanted + 2)));
      socket.destroy();
    });
    socket.on("error", (cause) => unreachable(cause.message, cause));
    socket.on("close", () => {
      clearTimeout(timer);
      unreachable("it closed the connection");
    });
  });
}
