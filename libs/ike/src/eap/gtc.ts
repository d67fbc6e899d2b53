import { malformed, type PeerOutcome, type PeerTurn, type ServerOutcome, unexpected } from "./outcome.js";
import { passwordOf, type ServerTurn, sameSecret, wrongCredentials } from "./user.js";

/** EAP-GTC (RFC 3748 §5.6): a text to show, and the password in clear, protected by the IKE SA alone. */
export interface GtcServer {
  readonly method: "gtc";
}

export interface GtcPeer {
  readonly method: "gtc";
}

const PROMPT = new TextEncoder().encode("Password: ");
const MAX_PASSWORD_BYTES = 1024;

export function beginGtc(): ServerOutcome<GtcServer> {
  return { do: "ask", state: { method: "gtc" }, data: PROMPT };
}

export function serveGtc(data: Uint8Array, turn: ServerTurn): ServerOutcome<GtcServer> {
  if (data.length === 0 || data.length > MAX_PASSWORD_BYTES) {
    throw malformed("gtc", "response", `${data.length} octets`, `1 to ${MAX_PASSWORD_BYTES}`);
  }
  const { octets, known } = passwordOf(turn);
  const right = sameSecret(octets, data, turn.ctx);
  if (!right || !known) throw wrongCredentials(turn, "gtc", known);
  return { do: "done", msk: undefined, ground: { password: octets } };
}

export function answerGtc(before: GtcPeer | undefined, { config }: PeerTurn): PeerOutcome<GtcPeer> {
  if (before) throw unexpected("a second EAP-GTC request", "success or failure");
  const data = config.password ?? new Uint8Array();
  return { do: "reply", state: { method: "gtc" }, data, proven: { msk: undefined } };
}
