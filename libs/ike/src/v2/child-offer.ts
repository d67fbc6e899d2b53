import { isFault } from "@sallyport/base";
import type { DataPlaneOp } from "../api.js";
import type { ChildConfig } from "../config.js";
import { childSuite, DH } from "../crypto/index.js";
import type { ChildSuite, DhKeyPair } from "../crypto/types.js";
import { notification, proposalsText } from "../wire/index.js";
import type { Payload } from "../wire/types.js";
import type { Accepted, ChildOffer, PacketSelector } from "./child-sa.js";
import { fault } from "./faults.js";
import { must, notifyIn, spiBytes, spiNumber } from "./message.js";
import { configured, rangesText, toRanges, toSelector, within } from "./narrow.js";
import { espProposals, isAnswerTo } from "./proposals.js";
import { offeredEnds } from "./request-config.js";
import type { IkeSa } from "./sa.js";
import { seenThroughNat } from "./transport.js";
import { openTo } from "./users.js";

/** SPIs up to here are reserved (CORE-15). */
const LAST_RESERVED_SPI = 255;

export function isUsableSpi(spi: number): boolean {
  return spi > LAST_RESERVED_SPI;
}

/** Reserves our SPI of a CHILD SA to be. */
export function allocation(sa: IkeSa, config: ChildConfig, reqid: number): DataPlaneOp[] {
  const request = {
    source: sa.remote.address,
    destination: sa.local.address,
    protocol: "esp",
    mode: config.mode,
    reqid,
  } as const;
  return [{ op: "allocateSpi", args: [request] }];
}

/** What this end offers; the packet that raised an acquire stands first (RFC 7296 §2.9). */
export function makeOffer(
  sa: IkeSa,
  about: {
    readonly config: ChildConfig;
    readonly reqid: number;
    readonly spiIn: number;
    readonly nonce: Uint8Array;
    readonly pair: DhKeyPair | undefined;
    /** Groups are offered in CREATE_CHILD_SA only. */
    readonly pfs: boolean;
    readonly packet?: PacketSelector | undefined;
    readonly rekeys: number | undefined;
  },
): ChildOffer {
  const { config, packet } = about;
  const ranges = configured(openTo(sa, config) ?? { ...config, local: [] }, offeredEnds(sa));
  return {
    config,
    reqid: about.reqid,
    spiIn: about.spiIn,
    nonce: about.nonce,
    pair: about.pair,
    local: packet ? [packet.local, ...ranges.local] : ranges.local,
    remote: packet ? [packet.remote, ...ranges.remote] : ranges.remote,
    proposals: espProposals(config.proposals, spiBytes(about.spiIn), about.pfs),
    rekeys: about.rekeys,
  };
}

/** Payloads of an offer in the order of RFC 7296 §1.2 and §1.3.1, without nonce and KE. */
export function offerPayloads(offer: ChildOffer): {
  readonly before: Payload[];
  readonly sa: Payload;
  readonly ts: Payload[];
} {
  return {
    before: offer.config.mode === "transport" ? [notification("USE_TRANSPORT_MODE")] : [],
    sa: { kind: "SA", proposals: offer.proposals },
    ts: [
      { kind: "TSi", selectors: offer.local.map(toSelector) },
      { kind: "TSr", selectors: offer.remote.map(toSelector) },
    ],
  };
}

/** Judges the peer's answer to `offer`. Faults when it is not an answer to it. */
export function acceptAnswer(sa: IkeSa, offer: ChildOffer, payloads: readonly Payload[]): Accepted {
  const proposals = must(payloads, "SA").proposals;
  const chosen = proposals[0];
  const facts = { ours: proposalsText(offer.proposals), theirs: proposalsText(proposals) };
  if (!chosen || proposals.length !== 1 || !isAnswerTo(offer.proposals, chosen)) {
    throw fault("ike/no-proposal-chosen", "the peer answered with a proposal that was not offered", { facts });
  }
  const suite = suiteOf(chosen, facts);
  const spiOut = spiNumber(chosen.spi);
  if (!isUsableSpi(spiOut)) {
    const reason = { value: String(spiOut), expected: "256 or more" };
    throw fault("ike/invalid-syntax", `the peer chose the reserved SPI ${spiOut}`, reason);
  }
  const said = {
    local: toRanges(must(payloads, "TSi").selectors),
    remote: toRanges(must(payloads, "TSr").selectors),
  };
  const { local, remote } = offer.config.mode === "transport" ? seenThroughNat(sa, said) : said;
  if (!within(local, offer.local) || !within(remote, offer.remote)) {
    throw fault("ike/ts-unacceptable", "the peer answered with traffic selectors that were not offered", {
      facts: {
        ours: `${rangesText(offer.local)} === ${rangesText(offer.remote)}`,
        theirs: `${rangesText(local)} === ${rangesText(remote)}`,
      },
    });
  }
  const transport = notifyIn(payloads, "USE_TRANSPORT_MODE") !== undefined;
  if (transport !== (offer.config.mode === "transport")) {
    const theirs = transport ? "transport" : "tunnel";
    throw fault("ike/no-proposal-chosen", `the peer chose ${theirs} mode`, {
      facts: { ours: offer.config.mode, theirs },
    });
  }
  return {
    suite,
    spiOut,
    agreed: {
      config: offer.config,
      mode: offer.config.mode,
      tfc: tfcFor(offer.config, payloads),
      suite,
      spiIn: offer.spiIn,
      spiOut,
      local,
      remote,
      ours: true,
      rekeys: offer.rekeys !== undefined,
      takesOver: false,
    },
  };
}

/** Octets to pad packets to, unless the peer says that it takes no padding (RFC 7296 §1.3.1). */
export function tfcFor(config: ChildConfig, payloads: readonly Payload[]): number {
  return notifyIn(payloads, "ESP_TFC_PADDING_NOT_SUPPORTED") ? 0 : config.tfc;
}

function suiteOf(chosen: Parameters<typeof childSuite>[0], facts: { ours: string; theirs: string }): ChildSuite {
  try {
    return childSuite(chosen);
  } catch (cause) {
    if (!isFault(cause)) throw cause;
    throw fault("ike/no-proposal-chosen", cause.message, { facts, cause });
  }
}

export function groupNumber(pair: DhKeyPair): number {
  return DH[pair.group].transformId;
}
