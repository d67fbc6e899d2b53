import type { IpAddress } from "@sallyport/base";
import { EXCHANGE } from "../wire/registry.js";
import type { Payload } from "../wire/types.js";
import { authAnswered, authEap, authOfferSpi, authSigned, authSignedPlain, authVerified } from "./auth.js";
import { authChildInstalled } from "./auth-child.js";
import { answerDh, answerInstalled, answerSpi } from "./child-answer.js";
import { beginCreate, childKeys, createAnswered, installed, offerDh, offerSpi } from "./create-child.js";
import { beginInformational, informationalAnswered, serveInformational } from "./informational.js";
import { initKeys, initOffer } from "./init.js";
import { beginMobike, mobikeAnswered } from "./mobike.js";
import { askingOf } from "./queue.js";
import { beginRekey, rekeyAnswered, rekeyKeys, rekeyOffer, serveRekeyDh } from "./rekey-ike.js";
import { routed } from "./roaming.js";
import type { Asking, AskingThen, IkeSa, Outcome, Phase, ServingThen, Wait } from "./sa.js";
import { serveAuth, serveAuthSigned, serveAuthVerified } from "./serve-auth.js";
import { serveCreate } from "./serve-create.js";
import { serveAuthEap } from "./serve-eap.js";
import { initAnswer } from "./serve-init.js";
import { looked } from "./switchover.js";
import type { TaskKind } from "./task.js";
import type { Turn } from "./turn.js";

/** Where a request of the peer may come in, and who takes it. */
interface ExchangeRow {
  readonly phases: readonly Phase[];
  /** Who made the IKE SA, when only one end may be asked. */
  readonly role?: "responder";
  serve(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void;
}

/** Nothing but IKE_AUTH is heard before authentication (hostile input 15, 16), and that a client of EAP gives up. */
export const EXCHANGES: Readonly<Record<number, ExchangeRow>> = {
  [EXCHANGE.IKE_AUTH]: { phases: ["auth"], role: "responder", serve: serveAuth },
  [EXCHANGE.CREATE_CHILD_SA]: { phases: ["established", "rekeyed", "deleting"], serve: serveCreate },
  [EXCHANGE.INFORMATIONAL]: { phases: ["auth", "established", "rekeyed", "deleting"], serve: serveInformational },
};

/** Begins a task whose turn has come; false: it has become pointless. */
export const BEGIN: Readonly<Partial<Record<TaskKind, (turn: Turn, sa: IkeSa, asking: Asking) => boolean>>> = {
  "create-child": beginCreate,
  "rekey-child": beginCreate,
  "rekey-ike": beginRekey,
  "delete-child": beginInformational,
  "reject-child": beginInformational,
  "delete-ike": beginInformational,
  report: beginInformational,
  lifetime: beginInformational,
  "wrong-mid": beginInformational,
  window: beginInformational,
  probe: beginInformational,
  "update-addresses": beginMobike,
  "tell-addresses": beginMobike,
  "check-route": beginMobike,
};

/** Takes the authenticated response to a request of ours. */
export const ANSWERED: Readonly<
  Record<TaskKind, (turn: Turn, sa: IkeSa, asking: Asking, payloads: readonly Payload[]) => void>
> = {
  init: (turn) => turn.count("illegal-transition"),
  auth: authAnswered,
  "create-child": createAnswered,
  "rekey-child": createAnswered,
  "rekey-ike": rekeyAnswered,
  "delete-child": informationalAnswered,
  "reject-child": informationalAnswered,
  "delete-ike": informationalAnswered,
  report: informationalAnswered,
  lifetime: informationalAnswered,
  "wrong-mid": informationalAnswered,
  window: informationalAnswered,
  probe: informationalAnswered,
  "update-addresses": mobikeAnswered,
  "tell-addresses": mobikeAnswered,
  "check-route": mobikeAnswered,
};

type ResumeAsking<T> = (turn: Turn, sa: IkeSa, asking: Asking, then: T, outcome: Outcome) => void;
type ResumeServing<T> = (turn: Turn, sa: IkeSa, then: T, outcome: Outcome) => void;

const ASKING: { readonly [G in AskingThen["go"]]: ResumeAsking<Extract<AskingThen, { go: G }>> } = {
  "init-offer": (t, sa, a, _, o) => initOffer(t, sa, a, o),
  "init-keys": (t, sa, a, then, o) => initKeys(t, sa, a, then, o),
  "auth-offer-spi": (t, sa, a, _, o) => authOfferSpi(t, sa, a, o),
  "auth-signed": (t, sa, a, then, o) => authSigned(t, sa, a, then, o),
  "auth-verified": (t, sa, a, { payloads }, o) => authVerified(t, sa, a, payloads, o),
  "auth-signed-plain": (t, sa, a, { proof }, o) => authSignedPlain(t, sa, a, proof, o),
  "auth-eap": (t, sa, a, _, o) => authEap(t, sa, a, o),
  "auth-child-installed": (t, sa, a, { built }, o) => authChildInstalled(t, sa, a, built, o),
  "child-offer-spi": (t, sa, a, _, o) => offerSpi(t, sa, a, o),
  "child-offer-dh": (t, sa, a, { spiIn }, o) => offerDh(t, sa, a, spiIn, o),
  "child-keys": (t, sa, a, { accepted, nr }, o) => childKeys(t, sa, a, accepted, nr, o),
  "child-installed": (t, sa, a, { built }, o) => installed(t, sa, a, built, o),
  "ike-offer-dh": (t, sa, a, _, o) => rekeyOffer(t, sa, a, o),
  "ike-keys": (t, sa, a, { suite, spi, nr }, o) => rekeyKeys(t, sa, a, suite, spi, nr, o),
};

const SERVING: { readonly [G in ServingThen["go"]]: ResumeServing<Extract<ServingThen, { go: G }>> } = {
  "init-answer": (t, sa, { suite, chosen }, o) => initAnswer(t, sa, suite, chosen, o),
  "serve-auth-verified": (t, sa, { serving }, o) => serveAuthVerified(t, sa, serving, o),
  "serve-eap": (t, sa, _, o) => serveAuthEap(t, sa, o),
  "serve-auth-signed": (t, sa, then, o) => serveAuthSigned(t, sa, then, o),
  "serve-child-spi": (t, sa, { answer, before }, o) => answerSpi(t, sa, answer, before, o),
  "serve-child-dh": (t, sa, { answer, before }, o) => answerDh(t, sa, answer, before, o),
  "serve-child-installed": (t, sa, th, o) => answerInstalled(t, sa, th.answer, th.before, th.built, th.ke, o),
  "serve-ike-dh": (t, sa, then, o) => serveRekeyDh(t, sa, then, o),
};

/** Goes on where an effect was awaited. */
export function resume(turn: Turn, sa: IkeSa, wait: Wait, outcome: Outcome): void {
  if (wait.of === "moving") {
    routed(
      turn,
      sa,
      wait.then.remotes,
      outcome.ok ? ((outcome.values ?? []) as readonly (IpAddress | undefined)[]) : [],
    );
    return;
  }
  if (wait.of === "switching") {
    looked(turn, sa, wait.then.serial, outcome);
    return;
  }
  if (wait.of === "serving") {
    (SERVING[wait.then.go] as ResumeServing<ServingThen>)(turn, sa, wait.then, outcome);
    return;
  }
  const asking = askingOf(sa, wait.of);
  if (!asking) {
    turn.count("stale-result");
    return;
  }
  (ASKING[wait.then.go] as ResumeAsking<AskingThen>)(turn, sa, asking, wait.then, outcome);
}
