import type { EapPeer } from "./peer.js";
import type { EapServer } from "./server.js";
import type { EapTlsCloseJob } from "./types.js";

export { EAP_METHODS, type EapMethod, type EapMethodInfo, methodText } from "./methods.js";
export { ntHash } from "./mschap-keys.js";
export { answerEap, beginEapPeer, type EapPeer, resumeEapPeer } from "./peer.js";
export { beginEapServer, type EapServer, resumeEapServer, serveEap } from "./server.js";
export type {
  EapContext,
  EapDone,
  EapGround,
  EapStep,
  EapTlsCloseJob,
  EapTlsFinished,
  EapTlsJob,
  EapTlsResult,
} from "./types.js";

/** What to give the runner when a conversation is over without success: refused, or dropped with its IKE SA. */
export function closeEap({ method }: EapServer | EapPeer): EapTlsCloseJob | undefined {
  if (method?.method !== "tls" || !method.open || method.finished || method.refused) return undefined;
  return { kind: "eap-tls-close", session: method.session };
}
