import { DEFAULT_PORTS } from "./fleet.js";
import type { DeclaredPeer } from "./fleet-model.js";
import type {
  ChildIntent,
  ConnectionIntent,
  EapUserSetIntent,
  GatewayIntent,
  Identity,
  LocalAuth,
  PeerAuth,
  RemoteEndpoint,
} from "./model.js";
import { INTENT_SCHEMA } from "./model.js";
import { literal, standIn } from "./proof-network.js";
import { Secret } from "./secret.js";

const OTHER_ROLE = { initiator: "responder", responder: "initiator", both: "both" } as const;

/** Who may be anybody is proved as somebody. */
function somebody(identity: PeerAuth["identity"]): Identity {
  return "value" in identity ? identity : { type: "fqdn", value: "anybody.invalid" };
}

/** What this end calls itself, as far as the intent says. */
function nameOf({ identity }: LocalAuth, { identity: own }: GatewayIntent): Identity {
  return "value" in identity ? identity : own;
}

type EapRound = Extract<PeerAuth, { method: "eap" }>;

/** What somebody whom nobody here knows would type. */
const PASSWORD = new Secret("of somebody");
const USERS = "declared";

/** Somebody whom `round` takes, as far as it can be told: `identity`, else a name that fits. */
function userOf({ user = "*" }: EapRound, { value }: Identity): string {
  if (!user.startsWith("*")) return user;
  return value.endsWith(user.slice(1)) ? value : `somebody${user.slice(1)}`;
}

function personOf(value: string): Identity {
  return { type: value.includes("@") ? "email" : "fqdn", value };
}

/** How the other end proves what we expect of it, and what it expects of us. */
function mirroredLocal(auth: PeerAuth, identity: Identity, { trustAnchors }: GatewayIntent): LocalAuth {
  if (auth.method === "psk") return { ...auth, identity };
  if (auth.method === "certificate") return { method: "certificate", identity };
  // Without methods it is our own round that proves it.
  if (!auth.methods) return { method: "eap", identity };
  const { methods, tlsVersions } = auth;
  const trustAnchorIds = trustAnchors.map((t) => t.id);
  return {
    ...{ method: "eap", identity, methods, tlsVersions, trustAnchorIds },
    ...{ user: userOf(auth, identity), secret: PASSWORD },
  };
}

function mirroredPeer(auth: LocalAuth, identity: Identity, { trustAnchors }: GatewayIntent): PeerAuth {
  const trustAnchorIds = trustAnchors.map((t) => t.id);
  if (auth.method === "psk") return { ...auth, identity };
  if (auth.method === "certificate") return { method: "certificate", identity, trustAnchorIds };
  if (!auth.methods) return { method: "eap", identity };
  const { methods, tlsVersions } = auth;
  return { method: "eap", identity, methods, tlsVersions, trustAnchorIds, userSetId: USERS };
}

/** Users whom the other end has to know for our rounds of EAP. */
function usersOf(rounds: readonly LocalAuth[]): EapUserSetIntent[] {
  const users = rounds.flatMap((r) =>
    r.method === "eap" && r.secret ? [{ name: r.user ?? r.identity.value, secret: r.secret }] : [],
  );
  return [{ id: USERS, users }];
}

/** What is behind the name and the password of a person, nobody but he can play: in the proof every set knows just somebody. */
function knowing(a: GatewayIntent, rounds: readonly (readonly [PeerAuth, Identity])[]): GatewayIntent {
  const known = rounds.flatMap(([round, identity]) =>
    round.method === "eap" && round.methods ? [{ name: userOf(round, identity), secret: PASSWORD }] : [],
  );
  if (known.length === 0) return a;
  return { ...a, eapUsers: (a.eapUsers ?? []).map(({ id }) => ({ id, users: known })) };
}

/** Our intent as it is played, and the other end made from what its operator declared. */
export function declaredEnd(a: GatewayIntent, ours: ConnectionIntent, declared: DeclaredPeer) {
  const declaredIdentity = declared.localIdentity ?? somebody(ours.peer.identity);
  const local = mirroredLocal(ours.peer, declaredIdentity, a);
  const peer = mirroredPeer(ours.local, declared.remoteIdentity ?? nameOf(ours.local, a), a);
  const { peerRounds = [], localRounds = [] } = ours;
  const family = (subnets: readonly string[], like: readonly string[]) =>
    subnets.filter((s) => s.includes(":") === (like[0] ?? "").includes(":"));
  const child = (c: ChildIntent): ChildIntent => ({
    ...c,
    localSubnets: declared.localSubnets ? family(declared.localSubnets, c.remoteSubnets) : c.remoteSubnets,
    remoteSubnets: declared.remoteSubnets ? family(declared.remoteSubnets, c.localSubnets) : c.localSubnets,
    espProposals: declared.espProposals ?? c.espProposals,
  });
  const remote: RemoteEndpoint = {
    host: standIn(ours.remote.host?.includes(":") ? 6 : 4, literal(ours.remote.host)).toString(),
    ports: a.ports,
  };
  const connection: ConnectionIntent = {
    ...ours,
    role: OTHER_ROLE[ours.role],
    modeConfig: undefined,
    addressRequest: undefined,
    remote,
    ikeProposals: declared.ikeProposals ?? ours.ikeProposals,
    local,
    peer,
    localRounds: peerRounds.map((r) => mirroredLocal(r, somebody(r.identity), a)),
    peerRounds: localRounds.map((r) => mirroredPeer(r, nameOf(r, a), a)),
    children: ours.children.map(child),
  };
  const intent: GatewayIntent = {
    schema: INTENT_SCHEMA,
    revision: 0,
    gateway: { id: `peer-of-${ours.id}`, name: ours.name },
    // Of a person who comes by EAP, that of the certificate that he shows within it.
    identity: local.method === "eap" && local.user ? personOf(local.user) : declaredIdentity,
    ports: DEFAULT_PORTS,
    trustAnchors: a.trustAnchors,
    eapUsers: usersOf([ours.local, ...localRounds]),
    connections: [connection],
    options: a.options,
  };
  const expected = [
    [ours.peer, declaredIdentity] as const,
    ...peerRounds.map((r) => [r, somebody(r.identity)] as const),
  ];
  return { ours: knowing(a, expected), intent, connection };
}
