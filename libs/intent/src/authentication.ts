import { SIGNATURES, type SignatureName } from "@sallyport/ike";
import { z } from "zod";
import { checkEap, localEap, peerEap } from "./eap.js";
import { der, id, localIdentity, peerIdentity } from "./fields.js";
import type { ConnectionIntent, GatewayIntent, LocalAuth, PeerAuth } from "./model.js";
import { Secret } from "./secret.js";

/** How the ends of a connection prove themselves, and what has to fit together in it. */
const NAMES = [...SIGNATURES.keys()] as [SignatureName, ...SignatureName[]];
const signatures = z.array(z.enum(NAMES, { error: `one of ${NAMES.join(", ")}` })).min(1);
const fingerprint = z.string().regex(/^[0-9a-f]{64}$/, "SHA-256 as 64 lower-case hex digits");
export const certificate = z.strictObject({
  fingerprint,
  intermediates: z.array(der).max(8),
  leaf: der.optional(),
});
const secret = z.string().min(1).max(1024);
const sealed = <T extends { secret: string }>(v: T) => ({ ...v, secret: new Secret(v.secret) });
const psk = { method: z.literal("psk"), keyId: id, secret };
const accepted = z.strictObject({ keyId: id, secret });

export const localAuth = z.discriminatedUnion("method", [
  z.strictObject({
    method: z.literal("certificate"),
    identity: localIdentity,
    certificates: z.array(certificate).min(1).max(8).optional(),
    signatures: signatures.optional(),
  }),
  z.strictObject({ ...psk, identity: localIdentity }).transform(sealed),
  localEap,
]);

export const peerAuth = z.discriminatedUnion("method", [
  z
    .strictObject({
      method: z.literal("certificate"),
      identity: peerIdentity,
      trustAnchorIds: z.array(id),
      fingerprints: z.array(fingerprint).min(1).max(16).optional(),
      signatures: signatures.optional(),
    })
    .refine((v) => v.fingerprints || v.trustAnchorIds.length > 0, {
      path: ["trustAnchorIds"],
      message: "at least one, or fingerprints",
    }),
  z
    .strictObject({
      ...psk,
      identity: peerIdentity,
      alsoAccepted: z.array(accepted.transform(sealed)).max(4).optional(),
    })
    .transform(sealed),
  peerEap(peerIdentity),
]);

export const ppk = z
  .strictObject({ id: z.string().min(1).max(64), secret: secret.min(16), required: z.boolean().optional() })
  .transform(sealed);

type Rounds = Pick<ConnectionIntent, "role" | "local" | "peer" | "localRounds" | "peerRounds">;

/** EAP in a further round asks for the same as in the first. */
export function checkRounds(c: Rounds, ctx: z.RefinementCtx): void {
  const within = (end: "local" | "peer", i: number) =>
    ({
      addIssue: (issue: { code: "custom"; path: (string | number)[]; message: string }) => {
        if (issue.path[0] === end) ctx.addIssue({ ...issue, path: [`${end}Rounds`, i, ...issue.path.slice(1)] });
        else if (issue.path[0] === "role") ctx.addIssue(issue);
      },
    }) as z.RefinementCtx;
  for (const [i, local] of (c.localRounds ?? []).entries()) {
    checkEap({ role: c.role, local, peer: c.peer }, within("local", i));
  }
  for (const [i, peer] of (c.peerRounds ?? []).entries()) {
    checkEap({ role: c.role, local: c.local, peer }, within("peer", i));
  }
}

/** All rounds of both ends, each with its place. */
function roundsOf(c: Rounds): readonly (readonly [LocalAuth | PeerAuth, readonly (string | number)[]])[] {
  return [
    [c.local, ["local"]],
    [c.peer, ["peer"]],
    ...(c.localRounds ?? []).map((round, i) => [round, ["localRounds", i]] as const),
    ...(c.peerRounds ?? []).map((round, i) => [round, ["peerRounds", i]] as const),
  ];
}

/** Whom a round trusts is among the gateway's trust anchors. */
export function checkAnchors(v: Pick<GatewayIntent, "trustAnchors" | "connections">, ctx: z.RefinementCtx): void {
  const anchors = new Set(v.trustAnchors.map((t) => t.id));
  v.connections.forEach((c, i) => {
    for (const [auth, place] of roundsOf(c)) {
      const ids = "trustAnchorIds" in auth ? (auth.trustAnchorIds ?? []) : [];
      ids.forEach((t, j) => {
        const path = ["connections", i, ...place, "trustAnchorIds", j];
        if (!anchors.has(t)) ctx.addIssue({ code: "custom", path, message: "the id of one of trustAnchors" });
      });
    }
  });
}
