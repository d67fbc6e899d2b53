import {
  answerEap,
  beginEapPeer,
  beginEapServer,
  decodeInner,
  type EapMethod,
  type EapPayload,
  type EapTlsJob,
  type EapTlsResult,
  encodeInner,
  type Failure,
  resumeEapPeer,
  resumeEapServer,
  serveEap,
} from "@sallyport/ike";
import { EAP_IDI, eapContext, eapPeerConfig, eapServerConfig } from "@sallyport/testkit";
import { FuzzInput, holds } from "./input.ts";

const METHODS: readonly (readonly EapMethod[])[] = [
  ["mschapv2", "md5", "gtc"],
  ["md5"],
  ["gtc"],
  ["mschapv2"],
  ["tls", "mschapv2"],
];
const TLS = { key: "k", chain: [], trust: [], versions: { min: "1.2", max: "1.3" } } as const;
const NOT_GUESSED = new TextEncoder().encode("dJ8s0-kq2_VtW5");
const MAX_PACKETS = 240;
/** A password goes in one packet; what TLS sends is cut to this. */
const MAX_OCTETS = 4_200;

/** Whatever the other end of a TLS handshake may make of it. */
function tlsOf(input: FuzzInput, { input: received }: EapTlsJob): EapTlsResult | Failure {
  const what = input.u8();
  const output = input.take(input.u8());
  if (what === 0) return { code: "sim/tls", message: "no TLS" };
  const all = what & 1 ? Buffer.concat(Array.from({ length: what }, () => output)) : received.slice(0, what * 16);
  if (what < 160) return { output: all };
  if (what < 200) return { output: all, refused: { code: "sim/tls", message: "not this one" } };
  const certificate = { subject: "CN=somebody", fingerprint: "00".repeat(32) };
  return { output: all, finished: { msk: new Uint8Array(64).fill(1), version: "1.3", certificate } };
}

/** A step of a conversation, of which either end knows one. */
interface Step {
  readonly send?: EapPayload;
  readonly wait?: EapTlsJob;
  readonly done?: { readonly method: EapMethod };
  readonly failed?: unknown;
}

/** Runs the jobs of TLS that a step leads to. */
function settled<S extends Step & { readonly state: unknown }>(
  input: FuzzInput,
  step: S,
  resume: (state: S["state"], result: EapTlsResult | Failure) => S,
): S {
  let now = step;
  for (let n = 0; now.wait && n < MAX_PACKETS; n++) now = resume(now.state, tlsOf(input, now.wait));
  holds(now.wait === undefined, () => "a handshake without end");
  return now;
}

function wellFormed({ send }: Step): void {
  if (!send) return;
  holds(send.data.length <= MAX_OCTETS, () => `a packet of ${send.data.length} octets`);
  const { firstPayload, plaintext } = encodeInner([send]);
  decodeInner(firstPayload, plaintext);
}

function packetOf(input: FuzzInput, identifier: number): EapPayload {
  const code = input.u8();
  const skew = input.u8();
  return { kind: "EAP", code, identifier: (identifier + (skew < 8 ? skew : 0)) & 255, data: input.take(input.u8()) };
}

/** A server whom strangers answer, who never know the password. */
function server(input: FuzzInput): void {
  const ctx = eapContext("server", new Map([["staff", new Map([[EAP_IDI.name, NOT_GUESSED]])]]));
  const methods = input.pick(METHODS);
  const identity = input.u8() & 1 ? "ask" : "ike";
  let step = beginEapServer(eapServerConfig({ methods, identity, tls: TLS }), EAP_IDI, ctx);
  for (let n = 0; ; n++) {
    wellFormed(step);
    holds(!step.done || step.done.method === "tls", () => `${step.done?.method} proved a stranger`);
    if (step.done || step.failed || input.left === 0) return;
    holds(n < MAX_PACKETS, () => "a conversation without end");
    const { identifier } = step.state;
    step = settled(input, serveEap(step.state, packetOf(input, identifier), ctx), resumeEapServer);
  }
}

/** A client that talks to a stranger, who never knows its password; what needs no proof of the server is not believed to be one. */
function client(input: FuzzInput): void {
  const ctx = eapContext("peer");
  const methods = input.pick(METHODS);
  const serverProven = (input.u8() & 1) === 1;
  let step: ReturnType<typeof answerEap> = {
    state: beginEapPeer(eapPeerConfig({ methods, password: NOT_GUESSED, tls: TLS }), { serverProven }),
  };
  for (let n = 0; ; n++) {
    wellFormed(step);
    holds(step.done?.method !== "mschapv2", () => "a stranger knew the password");
    holds(serverProven || !step.done || step.done.method === "tls", () => `${step.done?.method} with a stranger`);
    if (step.done || step.failed || input.left === 0) return;
    holds(n < MAX_PACKETS, () => "a conversation without end");
    step = settled(input, answerEap(step.state, packetOf(input, n), ctx), resumeEapPeer);
  }
}

/** Both ends, with a password that differs, and somebody who changes a packet now and then. */
function both(input: FuzzInput): void {
  const [here, there] = [eapContext("server"), eapContext("peer")];
  const methods = input.pick(METHODS);
  const wrong = (input.u8() & 1) === 1;
  const config = eapPeerConfig({ methods, tls: TLS, ...(wrong && { password: NOT_GUESSED }) });
  let server = beginEapServer(eapServerConfig({ methods, tls: TLS }), EAP_IDI, here);
  let peer: ReturnType<typeof answerEap> = { state: beginEapPeer(config, { serverProven: true }) };
  const carried = (packet: EapPayload): EapPayload => {
    const change = input.u8();
    if (change < 224) return packet;
    const data = Uint8Array.from(packet.data);
    data[input.u8() % Math.max(1, data.length)] = input.u8();
    return { ...packet, data };
  };
  for (let n = 0; server.send; n++) {
    holds(n < MAX_PACKETS, () => "a conversation without end");
    peer = settled(input, answerEap(peer.state, carried(server.send), there), resumeEapPeer);
    wellFormed(peer);
    if (!peer.send) break;
    server = settled(input, serveEap(server.state, carried(peer.send), here), resumeEapServer);
    wellFormed(server);
  }
  holds(!wrong || !server.done || server.done.method === "tls", () => "a wrong password was enough");
}

/** EAP as a stranger would speak it with either end, and between two ends. */
export function fuzz(data: Uint8Array): void {
  const input = new FuzzInput(data);
  input.pick([server, client, both])(input);
}
