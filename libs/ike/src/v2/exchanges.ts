import type { IpAddress } from "@sallyport/base";
import { EXCHANGE } from "../wire/registry.js";
import type { Payload } from "../wire/types.js";
import { authAnswered, authOfferSpi, authSigned, authVerified } from "./auth.js";
import { authChildInstalled } from "./auth-child.js";
import { answerDh, answerInstalled, answerSpi } from "./child-answer.js";
import { beginCreate, childKeys, createAnswered, installed, offerDh, offerSpi } from "./create-child.js";
import { beginInformational, informationalAnswered, serveInformational } from "./informational.js";
import { initKeys, initOffer } from "./init.js";
import { beginMobike, mobikeAnswered } from "./mobike.js";
import { beginRekey, rekeyAnswered, rekeyKeys, rekeyOffer, serveRekeyDh } from "./rekey-ike.js";
import { routed } from "./roaming.js";
import type { IkeSa, Outcome, Phase, Task, TaskKind, Then } from "./sa.js";
import { serveAuth, serveAuthSigned, serveAuthVerified } from "./serve-auth.js";
import { serveCreate } from "./serve-create.js";
import { initAnswer } from "./serve-init.js";
import type { Turn } from "./turn.js";

/** Where a request of the peer may come in, and who takes it. */
interface ExchangeRow {
  readonly phases: readonly Phase[];
  /** Who made the IKE SA, when only one end may be asked. */
  readonly role?: "responder";
  serve(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void;
}

/** Nothing but IKE_AUTH is heard before authentication (hostile input 15, 16). */
export const EXCHANGES: Readonly<Record<number, ExchangeRow>> = {
  [EXCHANGE.IKE_AUTH]: { phases: ["auth"], role: "responder", serve: serveAuth },
  [EXCHANGE.CREATE_CHILD_SA]: { phases: ["established", "rekeyed", "deleting"], serve: serveCreate },
  [EXCHANGE.INFORMATIONAL]: { phases: ["established", "rekeyed", "deleting"], serve: serveInformational },
};

/** Begins a task whose turn has come; false: it has become pointless. */
export const BEGIN: Readonly<Partial<Record<TaskKind, (turn: Turn, sa: IkeSa, task: Task) => boolean>>> = {
  "create-child": (turn, sa, task) => task.kind === "create-child" && beginCreate(turn, sa, task),
  "rekey-child": (turn, sa, task) => task.kind === "rekey-child" && beginCreate(turn, sa, task),
  "rekey-ike": beginRekey,
  "delete-child": beginInformational,
  "reject-child": beginInformational,
  "delete-ike": beginInformational,
  report: beginInformational,
  probe: beginInformational,
  "update-addresses": beginMobike,
  "tell-addresses": beginMobike,
  "check-route": beginMobike,
};

/** Which tasks an IKE SA may begin in each phase. */
export const ALLOWED: Readonly<Record<Phase, readonly TaskKind[]>> = {
  init: [],
  auth: [],
  established: [
    "create-child",
    "rekey-child",
    "rekey-ike",
    "delete-child",
    "reject-child",
    "delete-ike",
    "probe",
    "update-addresses",
    "tell-addresses",
    "check-route",
  ],
  rekeyed: ["delete-ike"],
  deleting: ["delete-ike", "report"],
};

/** Takes the authenticated response to a request of ours. */
export const ANSWERED: Readonly<Record<TaskKind, (turn: Turn, sa: IkeSa, payloads: readonly Payload[]) => void>> = {
  init: (turn) => turn.count("illegal-transition"),
  auth: authAnswered,
  "create-child": createAnswered,
  "rekey-child": createAnswered,
  "rekey-ike": rekeyAnswered,
  "delete-child": informationalAnswered,
  "reject-child": informationalAnswered,
  "delete-ike": informationalAnswered,
  report: informationalAnswered,
  probe: informationalAnswered,
  "update-addresses": mobikeAnswered,
  "tell-addresses": mobikeAnswered,
  "check-route": mobikeAnswered,
};

type Resume<G extends Then["go"]> = (turn: Turn, sa: IkeSa, then: Extract<Then, { go: G }>, outcome: Outcome) => void;

const RESUME: { readonly [G in Then["go"]]: Resume<G> } = {
  routed: (t, sa, { remotes }, o) =>
    routed(t, sa, remotes, o.ok ? ((o.values ?? []) as readonly (IpAddress | undefined)[]) : []),
  "init-offer": (t, sa, _, o) => initOffer(t, sa, o),
  "init-keys": (t, sa, then, o) => initKeys(t, sa, then, o),
  "init-answer": (t, sa, { suite, chosen }, o) => initAnswer(t, sa, suite, chosen, o),
  "auth-offer-spi": (t, sa, _, o) => authOfferSpi(t, sa, o),
  "auth-signed": (t, sa, then, o) => authSigned(t, sa, then, o),
  "auth-verified": (t, sa, { payloads }, o) => authVerified(t, sa, payloads, o),
  "auth-child-installed": (t, sa, { built }, o) => authChildInstalled(t, sa, built, o),
  "serve-auth-verified": (t, sa, { serving }, o) => serveAuthVerified(t, sa, serving, o),
  "serve-auth-signed": (t, sa, then, o) => serveAuthSigned(t, sa, then, o),
  "serve-child-spi": (t, sa, { answer, before }, o) => answerSpi(t, sa, answer, before, o),
  "serve-child-dh": (t, sa, { answer, before }, o) => answerDh(t, sa, answer, before, o),
  "serve-child-installed": (t, sa, th, o) => answerInstalled(t, sa, th.answer, th.before, th.built, th.ke, o),
  "child-offer-spi": (t, sa, _, o) => offerSpi(t, sa, o),
  "child-offer-dh": (t, sa, { spiIn }, o) => offerDh(t, sa, spiIn, o),
  "child-keys": (t, sa, { accepted, nr }, o) => childKeys(t, sa, accepted, nr, o),
  "child-installed": (t, sa, { built }, o) => installed(t, sa, built, o),
  "ike-offer-dh": (t, sa, _, o) => rekeyOffer(t, sa, o),
  "ike-keys": (t, sa, { suite, spi, nr }, o) => rekeyKeys(t, sa, suite, spi, nr, o),
  "serve-ike-dh": (t, sa, then, o) => serveRekeyDh(t, sa, then, o),
};

/** Goes on where an effect was awaited. */
export function resume<G extends Then["go"]>(
  turn: Turn,
  sa: IkeSa,
  then: Extract<Then, { go: G }>,
  outcome: Outcome,
): void {
  (RESUME[then.go] as Resume<G>)(turn, sa, then, outcome);
}
