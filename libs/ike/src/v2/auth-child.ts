import { isFault } from "@sallyport/base";
import type { Payload } from "../wire/types.js";
import { requireAffordable } from "./affordable.js";
import { adoptChild, build, installOps, reqidOf, undoInstall } from "./child.js";
import { acceptAnswer } from "./child-offer.js";
import type { Built } from "./child-sa.js";
import { resolveDuplicates } from "./collisions.js";
import { childRefused, errorOf } from "./failures.js";
import { handshakeOf } from "./handshake.js";
import { deletedEarly } from "./informational.js";
import { childFailed, ensure, establish, withoutAddress } from "./lifecycle.js";
import { errorIn, find } from "./message.js";
import { agreeMobike } from "./mobike.js";
import { enqueueFirst, finish } from "./queue.js";
import { takeLifetime } from "./reauth.js";
import { takeAddresses } from "./request-config.js";
import type { Asking, IkeSa, Outcome } from "./sa.js";
import type { Turn } from "./turn.js";
import { takeWindow } from "./window.js";

/** Both ends have proved themselves: the last response of IKE_AUTH makes the CHILD SA that the first request asked for. */
export function authenticated(turn: Turn, sa: IkeSa, asking: Asking, payloads: readonly Payload[]): void {
  agreeMobike(turn, sa, payloads);
  const offer = asking.child;
  const { nr } = handshakeOf(sa);
  takeWindow(sa, payloads);
  establish(turn, sa, "further");
  takeLifetime(turn, sa, payloads);
  if (!offer) {
    finish(sa, asking);
    return;
  }
  const error = errorIn(payloads);
  if (error || !find(payloads, "SA")) {
    const notify = error?.type ?? 0;
    turn.apply([{ op: "removeSa", args: [{ destination: sa.local.address, protocol: "esp", spi: offer.spiIn }] }]);
    finish(sa, asking);
    withoutAddress(turn, sa);
    childFailed(turn, sa, offer.config.id, childRefused(turn, "IKE_AUTH", notify, offer));
    return;
  }
  try {
    const accepted = acceptAnswer(sa, takeAddresses(turn, sa, offer, payloads), payloads);
    const reqid = reqidOf(turn, sa, offer.config, accepted.agreed.local, accepted.agreed.remote);
    requireAffordable(turn, sa, { ...accepted.agreed, reqid });
    const built = build(turn, sa, { ...accepted.agreed, reqid, ni: offer.nonce, nr, shared: undefined });
    turn.dataplane(sa, asking, installOps(turn, sa, built), { go: "auth-child-installed", built });
  } catch (cause) {
    if (!isFault(cause)) throw cause;
    finish(sa, asking);
    if (!withoutAddress(turn, sa)) enqueueFirst(turn, sa, { kind: "reject-child", spiIn: offer.spiIn });
    childFailed(turn, sa, offer.config.id, errorOf(turn, "IKE_AUTH", cause));
  }
}

export function authChildInstalled(turn: Turn, sa: IkeSa, asking: Asking, built: Built, outcome: Outcome): void {
  const { deleted } = asking;
  finish(sa, asking);
  if (!outcome.ok) {
    undoInstall(turn, sa, built, outcome.at);
    enqueueFirst(turn, sa, { kind: "reject-child", spiIn: built.child.spiIn });
    childFailed(turn, sa, built.child.config.id, errorOf(turn, "IKE_AUTH", outcome.failure));
    return;
  }
  adoptChild(turn, sa, built.child, undefined);
  resolveDuplicates(turn, sa, built.child);
  deletedEarly(turn, sa, built.child, deleted);
  ensure(turn, sa.peer?.id);
}
