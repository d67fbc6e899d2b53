import { EAP_METHODS, type EapMethod } from "@sallyport/ike";
import { z } from "zod";
import { id, identity } from "./fields.js";
import type { GatewayIntent, LocalAuth, LocalEap, PeerAuth, PeerEap } from "./model.js";
import { Secret } from "./secret.js";

/** The EAP parts of an intent, and what has to fit together in them. */
const METHODS = Object.keys(EAP_METHODS) as [EapMethod, ...EapMethod[]];
const MAX_USERS = 20_000;

const user = z.string().min(1).max(256);
/** A password is what people type: text, never hex. */
const secret = z
  .string()
  .min(1)
  .max(256)
  .transform((text) => new Secret(text));
const methods = z
  .array(z.enum(METHODS))
  .min(1)
  .refine((list) => new Set(list).size === list.length, "each method once");
const tlsVersion = z.enum(["1.2", "1.3"]);
const tlsVersions = z
  .strictObject({ min: tlsVersion, max: tlsVersion })
  .refine(({ min, max }) => min <= max, "the lower version as min");
const trustAnchorIds = z.array(id).min(1).max(64);

const shared = {
  method: z.literal("eap"),
  methods: methods.optional(),
  tlsVersions: tlsVersions.optional(),
  trustAnchorIds: trustAnchorIds.optional(),
  user: user.optional(),
};

export const localEap = z.strictObject({
  ...shared,
  identity,
  secret: secret.optional(),
  serverIdentity: identity.optional(),
});

export const peerEap = <I extends z.ZodType>(peerIdentity: I) =>
  z.strictObject({
    ...shared,
    identity: peerIdentity,
    askIdentity: z.boolean().optional(),
    samePerson: z.boolean().optional(),
    userSetId: id.optional(),
  });

const eapUser = z
  .strictObject({ name: user, secret, verifier: z.literal("nt-hash").optional() })
  .refine((v) => v.verifier === undefined || /^[0-9a-f]{32}$/.test(v.secret.reveal()), {
    path: ["secret"],
    message: "an NT hash as 32 lower-case hex digits",
  });

export const eapUserSet = z.strictObject({
  id,
  users: z.array(eapUser).max(MAX_USERS),
});

type Role = GatewayIntent["connections"][number]["role"];
type Ends = { readonly role: Role; readonly local: LocalAuth; readonly peer: PeerAuth };

const withPassword = (list: readonly EapMethod[]) => list.find((m) => m !== "tls");

/** EAP-TLS alone may prove both ends (RFC 5998 §4). */
function checkAlone(list: readonly EapMethod[], end: "local" | "peer", refuse: Refuse): void {
  if (list.some((m) => !EAP_METHODS[m].safeAlone)) refuse([end, "methods"], "tls alone, since EAP proves both ends");
}

type Refuse = (path: readonly (string | number)[], message: string) => void;

function checkLocal(local: LocalEap, { role, peer }: Ends, refuse: Refuse): void {
  const { methods: list } = local;
  if (!list) {
    if (role !== "responder") refuse(["local", "methods"], "the methods, since this end calls");
    else if (peer.method !== "eap" || !peer.methods)
      refuse(["peer", "method"], "eap with methods, which proves both ends");
    return;
  }
  if (role !== "initiator") refuse(["role"], "initiator: a client of EAP calls");
  if (withPassword(list) && !local.secret) refuse(["local", "secret"], `the password for ${withPassword(list)}`);
  if (list.includes("tls") && !local.trustAnchorIds) refuse(["local", "trustAnchorIds"], "whom to believe, for tls");
}

function checkPeer(peer: PeerEap, { role, local }: Ends, refuse: Refuse): void {
  const { methods: list } = peer;
  if (!list) {
    if (role !== "initiator") refuse(["peer", "methods"], "the methods, since the peer calls");
    else if (local.method !== "eap" || !local.methods)
      refuse(["local", "method"], "eap with methods, which proves both ends");
    else checkAlone(local.methods, "local", refuse);
    return;
  }
  if (role !== "responder") refuse(["role"], "responder: who serves EAP is called");
  if (local.method === "eap" && !local.methods) checkAlone(list, "peer", refuse);
  if (withPassword(list) && peer.userSetId === undefined)
    refuse(["peer", "userSetId"], `the users for ${withPassword(list)}`);
  if (list.includes("tls") && !peer.trustAnchorIds) refuse(["peer", "trustAnchorIds"], "whom to believe, for tls");
}

/** What the two ends of a connection ask of each other. */
export function checkEap(ends: Ends, ctx: z.RefinementCtx): void {
  const refuse: Refuse = (path, message) => ctx.addIssue({ code: "custom", path: [...path], message });
  if (ends.local.method === "eap") checkLocal(ends.local, ends, refuse);
  if (ends.peer.method === "eap") checkPeer(ends.peer, ends, refuse);
}

/** Sets are there, once each, and name everybody once. */
export function checkUsers(
  { eapUsers = [], connections }: Pick<GatewayIntent, "eapUsers" | "connections">,
  ctx: z.RefinementCtx,
): void {
  const refuse = (path: readonly (string | number)[], message: string) =>
    ctx.addIssue({ code: "custom", path: [...path], message });
  const ids = new Set<string>();
  eapUsers.forEach((set, i) => {
    if (ids.has(set.id)) refuse(["eapUsers", i, "id"], "an id that is not taken");
    ids.add(set.id);
    const names = new Set<string>();
    set.users.forEach(({ name }, j) => {
      if (names.has(name)) refuse(["eapUsers", i, "users", j, "name"], "a name that is not taken");
      names.add(name);
    });
  });
  const hashed = new Set(
    eapUsers.filter((set) => set.users.some((u) => u.verifier !== undefined)).map((set) => set.id),
  );
  const check = (peer: PeerAuth, path: readonly (string | number)[]) => {
    if (peer.method !== "eap" || peer.userSetId === undefined) return;
    if (!ids.has(peer.userSetId)) refuse([...path, "userSetId"], "the id of one of eapUsers");
    if (hashed.has(peer.userSetId) && peer.methods?.some((m) => m === "md5" || m === "gtc")) {
      refuse([...path, "methods"], "mschapv2 or tls, since of users only the NT hash is known");
    }
  };
  connections.forEach(({ peer, peerRounds = [] }, i) => {
    check(peer, ["connections", i, "peer"]);
    peerRounds.forEach((round, j) => {
      check(round, ["connections", i, "peerRounds", j]);
    });
  });
}
