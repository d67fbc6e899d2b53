import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import { type Fault, Reader, Writer } from "@sallyport/base";
import type { EapSecret } from "../config.js";
import { concat } from "../crypto/bytes.js";
import { printable } from "../wire/text.js";
import { fault } from "./faults.js";
import { challengeHash, mschapMsk, ntHash, ntResponse, serverProof } from "./mschap-keys.js";
import { malformed, type PeerOutcome, type PeerTurn, type ServerOutcome, unexpected } from "./outcome.js";
import type { EapContext } from "./types.js";
import { ntHashOf, type ServerTurn, withoutDomain, wrongCredentials } from "./user.js";

/** EAP-MSCHAPv2, draft-kamath-pppext-eap-mschapv2; the calculations are RFC 2759's. */
const OP = { CHALLENGE: 1, RESPONSE: 2, SUCCESS: 3, FAILURE: 4 } as const;
const CHALLENGE_BYTES = 16;
/** Peer-Challenge, eight octets reserved, NT-Response, flags. */
const RESPONSE_BYTES = 49;
const MAX_TEXT_BYTES = 512;
const MAX_NAME_BYTES = 256;

export type MschapServer = { readonly method: "mschapv2"; readonly id: number } & (
  | { readonly at: "challenged"; readonly challenge: Uint8Array }
  | { readonly at: "accepted"; readonly msk: Uint8Array; readonly stored: EapSecret }
  | { readonly at: "refused"; readonly refused: Fault }
);

export type MschapPeer = { readonly method: "mschapv2" } & (
  | { readonly at: "responded"; readonly id: number; readonly expected: Uint8Array; readonly msk: Uint8Array }
  | { readonly at: "proven" }
  | { readonly at: "refused" }
);

const ascii = (text: string) => new TextEncoder().encode(text);

/** OpCode, MS-CHAPv2-ID, MS-Length over all of them, data. */
function message(op: number, id: number, data: Uint8Array): Uint8Array {
  return new Writer(4 + data.length)
    .u8(op)
    .u8(id)
    .u16(4 + data.length)
    .bytes(data)
    .done();
}

interface Message {
  readonly op: number;
  readonly id: number;
  readonly body: Reader;
}

function read(data: Uint8Array): Message {
  const r = new Reader(data);
  const op = r.u8("EAP.opCode");
  const id = r.u8("EAP.msId");
  const length = r.u16("EAP.msLength");
  if (length !== data.length) throw malformed("mschapv2", "msLength", length, String(data.length));
  return { op, id, body: r };
}

function value(body: Reader, size: number): Reader {
  const got = body.u8("EAP.valueSize");
  if (got !== size) throw malformed("mschapv2", "valueSize", got, String(size));
  return body.sub(size, "EAP.value");
}

export function beginMschap(ctx: EapContext): ServerOutcome<MschapServer> {
  const challenge = ctx.rng.bytes(CHALLENGE_BYTES);
  const id = ctx.rng.bytes(1)[0] ?? 0;
  const data = message(OP.CHALLENGE, id, concat(Uint8Array.of(CHALLENGE_BYTES), challenge, ascii("sallyport")));
  return { do: "ask", state: { method: "mschapv2", id, at: "challenged", challenge }, data };
}

export function serveMschap(s: MschapServer, data: Uint8Array, turn: ServerTurn): ServerOutcome<MschapServer> {
  switch (s.at) {
    case "challenged":
      return judge(s, data, turn);
    case "accepted":
      if (data[0] !== OP.SUCCESS) throw unexpected(`MS-CHAPv2 code ${data[0]}`, "the acknowledgement of success");
      return { do: "done", msk: s.msk, ground: { password: s.stored } };
    case "refused":
      // Whatever the answer to the failure is: this is how it ends.
      throw s.refused;
  }
}

function judge(
  s: Extract<MschapServer, { at: "challenged" }>,
  data: Uint8Array,
  turn: ServerTurn,
): ServerOutcome<MschapServer> {
  const { op, id, body } = read(data);
  if (op !== OP.RESPONSE) throw unexpected(`MS-CHAPv2 code ${op}`, "a response to the challenge");
  if (id !== s.id) throw malformed("mschapv2", "msId", id, String(s.id));
  const fields = value(body, RESPONSE_BYTES);
  const peerChallenge = fields.bytes(CHALLENGE_BYTES, "EAP.peerChallenge");
  fields.skip(8);
  const response = Uint8Array.from(fields.bytes(24, "EAP.ntResponse"));
  const name = withoutDomain(new TextDecoder().decode(body.rest("EAP.name", { max: MAX_NAME_BYTES })));
  const { hash, stored, known } = ntHashOf(turn);
  const challenge = challengeHash(peerChallenge, s.challenge, name);
  const right = timingSafeEqual(ntResponse(challenge, hash), response);
  // The password counts for whom the peer claimed to be; another name here would be a second identity.
  const same = name === withoutDomain(turn.claimed.text);
  const { method } = s;
  if (!right || !known || !same) {
    const again = Buffer.from(turn.ctx.rng.bytes(CHALLENGE_BYTES)).toString("hex").toUpperCase();
    const refusal = message(OP.FAILURE, s.id, ascii(`E=691 R=0 C=${again} V=3 M=Authentication failed`));
    const refused = wrongCredentials(turn, "mschapv2", known);
    return { do: "ask", state: { method, id: s.id, at: "refused", refused }, data: refusal, refused };
  }
  const proof = Buffer.from(serverProof(hash, response, challenge))
    .toString("hex")
    .toUpperCase();
  return {
    do: "ask",
    state: { method, id: s.id, at: "accepted", msk: mschapMsk(hash, response), stored },
    data: message(OP.SUCCESS, s.id, ascii(`S=${proof} M=Welcome`)),
  };
}

export function answerMschap(s: MschapPeer | undefined, data: Uint8Array, turn: PeerTurn): PeerOutcome<MschapPeer> {
  const { op, id, body } = read(data);
  if (op === OP.CHALLENGE && s === undefined) return respond(id, body, turn);
  if (op === OP.SUCCESS && s?.at === "responded") return checkServer(s, id, body);
  if (op === OP.FAILURE && s?.at === "responded") {
    // The reason comes with EAP-Failure, which says the same; the answer only keeps the conversation in step.
    body.rest("EAP.message", { max: MAX_TEXT_BYTES });
    return { do: "reply", state: { method: "mschapv2", at: "refused" }, data: Uint8Array.of(OP.FAILURE) };
  }
  throw unexpected(`MS-CHAPv2 code ${op}`, s?.at === "responded" ? "success or failure" : "a challenge first");
}

function respond(id: number, body: Reader, { config, ctx }: PeerTurn): PeerOutcome<MschapPeer> {
  const serverChallenge = value(body, CHALLENGE_BYTES).rest("EAP.challenge");
  body.rest("EAP.name", { max: MAX_NAME_BYTES });
  const peerChallenge = ctx.rng.bytes(CHALLENGE_BYTES);
  const hash = ntHash(config.password ?? new Uint8Array());
  const challenge = challengeHash(peerChallenge, serverChallenge, withoutDomain(config.identity));
  const response = ntResponse(challenge, hash);
  const fields = concat(peerChallenge, new Uint8Array(8), response, Uint8Array.of(0));
  const data = concat(Uint8Array.of(RESPONSE_BYTES), fields, ascii(config.identity));
  return {
    do: "reply",
    state: {
      method: "mschapv2",
      at: "responded",
      id,
      expected: serverProof(hash, response, challenge),
      msk: mschapMsk(hash, response),
    },
    data: message(OP.RESPONSE, id, data),
  };
}

/** Only who knows the password can have made the proof. */
function checkServer(s: Extract<MschapPeer, { at: "responded" }>, id: number, body: Reader): PeerOutcome<MschapPeer> {
  if (id !== s.id) throw malformed("mschapv2", "msId", id, String(s.id));
  const text = new TextDecoder().decode(body.rest("EAP.message", { max: MAX_TEXT_BYTES }));
  const proof = /^S=([0-9A-F]{40})(?: |$)/i.exec(text)?.[1];
  if (proof === undefined) throw malformed("mschapv2", "message", printable(text, 64), "S= and 40 hex digits");
  if (!timingSafeEqual(Buffer.from(proof, "hex"), s.expected)) {
    throw fault("ike/eap-server-unproven", "EAP-MSCHAPv2: the server does not know the password", {
      field: "EAP.message",
    });
  }
  return {
    do: "reply",
    state: { method: "mschapv2", at: "proven" },
    data: Uint8Array.of(OP.SUCCESS),
    proven: { msk: s.msk },
  };
}
