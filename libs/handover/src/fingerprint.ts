import { createHash } from "node:crypto";
import { type ProposalUse, parseProposals, proposalText } from "@sallyport/intent";
import type { Description } from "./description.js";

const sha256 = (text: string) => createHash("sha256").update(text).digest();

/** Of what a profile says about the gateway, in lower-case hex. A profile that was made from another one is stale. */
export interface Fingerprint {
  /** Its address and its identity. */
  readonly gateway: string;
  /** The CAs above its certificate. */
  readonly authorities: string;
  /** What they mean, not as they are written. */
  readonly proposals: string;
}

export function fingerprintOf({ gateway, proposals }: Pick<Description, "gateway" | "proposals">): Fingerprint {
  const { address, identity, authorities } = gateway;
  const hex = (parts: readonly unknown[]) => sha256(JSON.stringify(parts)).toString("hex");
  const meant = (use: ProposalUse) => parseProposals(proposals[use], use).map(proposalText);
  return {
    gateway: hex([address.toLowerCase(), identity.type, identity.value]),
    authorities: hex(authorities.map((c) => c.fingerprint)),
    proposals: hex([meant("ike"), meant("esp")]),
  };
}

/** A UUID (RFC 9562 §5.8) that is the same whenever a profile with this id is made. */
export function uuidFor(d: Description, part: string): string {
  const octets = sha256(JSON.stringify([d.id, part])).subarray(0, 16);
  octets[6] = ((octets[6] as number) & 0x0f) | 0x80;
  octets[8] = ((octets[8] as number) & 0x3f) | 0x80;
  return octets.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** A name for files and sections, of letters that mean nothing anywhere. */
export const slugOf = (d: Description): string => `sallyport-${uuidFor(d, "slug").slice(0, 8)}`;
