import { NOTIFY_DATA } from "../wire/index.js";
import { PROTOCOL } from "../wire/registry.js";
import type { Payload } from "../wire/types.js";
import { beginAnswer, judge, refusal } from "./child-answer.js";
import type { Child } from "./child-sa.js";
import { errorOf } from "./failures.js";
import { fault, isFault } from "./faults.js";
import { NONCE_BYTES } from "./handshake.js";
import { childFailed } from "./lifecycle.js";
import { childNotify, find, must, notifyIn, respond } from "./message.js";
import { abandon } from "./queue.js";
import { serveRekey } from "./rekey-ike.js";
import type { IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

/** CREATE_CHILD_SA of the peer: a new CHILD SA, the rekey of one, or of the IKE SA (RFC 7296 §1.3). */
export function serveCreate(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  try {
    if (sa.phase !== "established") throw fault("ike/temporary-failure", "the IKE SA is about to go");
    const forIke = must(payloads, "SA").proposals.some((p) => p.protocol === PROTOCOL.IKE);
    if (forIke) {
      serveRekey(turn, sa, payloads);
      return;
    }
    serveChild(turn, sa, payloads);
  } catch (error) {
    const notify = refusal(error);
    if (isFault(error, "ike/child-not-found")) {
      respond(turn, sa, [childNotify("CHILD_SA_NOT_FOUND", Number(error.value))]);
      return;
    }
    turn.count(isFault(error) ? error.code : "ike/unexpected");
    if (isFault(error) && !quiet(error.code))
      childFailed(turn, sa, undefined, errorOf(turn, "CREATE_CHILD_SA", error), true);
    respond(turn, sa, [notify]);
  }
}

/** Refusals that are part of an orderly negotiation. */
function quiet(code: string): boolean {
  return code === "ike/temporary-failure" || code === "ike/invalid-ke" || code === "ike/no-additional-sas";
}

function serveChild(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  if (sa.asking.some((a) => a.task.kind === "rekey-ike"))
    throw fault("ike/temporary-failure", "the IKE SA is being rekeyed");
  if (!find(payloads, "TSi") || !find(payloads, "TSr")) {
    throw fault("ike/invalid-syntax", "no traffic selectors", { value: "none", expected: "TSi and TSr" });
  }
  const old = rekeyed(sa, payloads);
  const nonces = { ni: must(payloads, "Nonce").data, nr: turn.core.rng.bytes(NONCE_BYTES) };
  const answer = judge(turn, sa, payloads, nonces, false, old);
  const ours = sa.asking.find(({ task }) => task.kind === "rekey-child" && task.serial === old?.serial);
  if (ours?.mid === undefined && ours) abandon(sa, ours);
  beginAnswer(turn, sa, answer, []);
}

/** The pair that a request wants rekeyed, by the SPI that the peer receives on; what is on its way out cannot be (RFC 7296 §2.25.1). */
function rekeyed(sa: IkeSa, payloads: readonly Payload[]): Child | undefined {
  const notify = notifyIn(payloads, "REKEY_SA");
  if (!notify) return undefined;
  const { protocol, spi } = NOTIFY_DATA.REKEY_SA.read(notify);
  const child = protocol === PROTOCOL.ESP ? sa.children.find((c) => c.spiOut === spi) : undefined;
  if (!child && sa.asking.some((a) => a.child))
    throw fault("ike/temporary-failure", "this may be the CHILD SA that is being made");
  if (!child) throw fault("ike/child-not-found", `no CHILD SA with SPI ${spi}`, { value: String(spi) });
  if (child.state === "deleting" || child.state === "rekeyed") {
    throw fault("ike/temporary-failure", "the CHILD SA is about to go");
  }
  return child;
}
