import { createHash } from "node:crypto";
import { parseProposals, proposalText } from "@sallyport/intent";
import { authoritiesOf, type Description } from "./description.js";

const sha256 = (text: string) => createHash("sha256").update(text).digest();

/**
 * Of what a profile says about the gateway: its name, its CAs, its proposals and how it wants to be authenticated to. A profile that was
 * made from another fingerprint is stale. Lower-case hex; proposals count as what they mean, not as they are written.
 */
export function fingerprintOf(d: Description): string {
  const { address, identity } = d.gateway;
  const parts = [
    address.toLowerCase(),
    identity.type,
    identity.value,
    d.authentication,
    authoritiesOf(d).map((c) => c.fingerprint),
    parseProposals(d.proposals.ike, "ike").map(proposalText),
    parseProposals(d.proposals.esp, "esp").map(proposalText),
  ];
  return sha256(JSON.stringify(parts)).toString("hex");
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
