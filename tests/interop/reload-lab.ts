import type { ConnectionIntent, GatewayIntent, TrustAnchorIntent } from "@sallyport/intent";
import { Secret } from "@sallyport/intent";
import type { Authority, Credential, PeerConnection } from "@sallyport/testkit";
import { cableTunnel } from "./cable.js";
import type { BothEnds, TunnelCase } from "./lab.js";

export const OURS = "ours.test";
export const THEIRS = "theirs.test";
export const PSK = "what both know from the start";
export const NEXT_PSK = "what both know from now on";
export const [ALICE, BOB] = ["alice@example.org", "bob@example.org"] as const;
/** Another address of the far end. */
export const MOVED = "192.0.2.99";

export const fqdn = (value: string) => ({ type: "fqdn", value }) as const;
export function tunnel(n: number, id: string): TunnelCase {
  const plain = cableTunnel(n, id, { psk: PSK });
  return { ...plain, theirs: { ...plain.theirs, name: THEIRS } };
}

/** What one agent is, as far as a test changes it. */
export interface World {
  readonly connections: Readonly<Record<string, ConnectionIntent>>;
  readonly anchors: Readonly<Record<string, Authority>>;
  readonly users: Readonly<Record<string, string>>;
  readonly pool: string;
  readonly own: Credential;
}

export const change =
  (id: string, more: (before: ConnectionIntent) => Partial<ConnectionIntent>) =>
  (before: World): World => {
    const connection = before.connections[id];
    if (!connection) throw new Error(`no connection ${id}`);
    return { ...before, connections: { ...before.connections, [id]: { ...connection, ...more(connection) } } };
  };
export const certified = { local: { method: "certificate", identity: fqdn(OURS) } } as const;
export const vouchedBy = (...trustAnchorIds: string[]): Partial<ConnectionIntent> => ({
  peer: { method: "certificate", identity: fqdn(THEIRS), trustAnchorIds },
});
export const known = (...list: Credential[]): Partial<ConnectionIntent> => ({
  peer: {
    method: "certificate",
    identity: fqdn(THEIRS),
    trustAnchorIds: [],
    fingerprints: list.map((c) => c.fingerprint),
  },
});
export const secrets = (secret: string, ...alsoAccepted: string[]): Partial<ConnectionIntent> => ({
  peer: {
    method: "psk",
    identity: fqdn(THEIRS),
    keyId: "psk",
    secret: new Secret(secret),
    ...(alsoAccepted.length > 0 && {
      alsoAccepted: alsoAccepted.map((s) => ({ keyId: `psk-${s.length}`, secret: new Secret(s) })),
    }),
  },
});
export const people: Partial<ConnectionIntent> = {
  ...certified,
  role: "responder",
  peer: { method: "eap", identity: { type: "any" }, methods: ["mschapv2"], userSetId: "staff" },
};
export const person = (eapId: string): Partial<PeerConnection> => ({
  local: { auth: "eap-mschapv2", id: eapId, eapId },
  remote: { auth: "pubkey", id: OURS },
});
export const showing = (certificate: Credential): Partial<PeerConnection> => ({
  local: { auth: "pubkey", id: THEIRS, certificate: certificate.certificate },
  remote: { auth: "pubkey", id: OURS },
});

export const named = (value: string, { peer: auth }: Partial<ConnectionIntent>): Partial<ConnectionIntent> =>
  auth ? { peer: { ...auth, identity: fqdn(value) } } : {};
export function intentOf({ connections, anchors, users, pool, own }: World): GatewayIntent {
  const trusted = ([id, a]: [string, Authority]): TrustAnchorIntent => ({ id, der: a.der.toString("base64") });
  return {
    schema: 1,
    revision: 1,
    gateway: { id: OURS, name: OURS },
    identity: fqdn(OURS),
    ports: { ike: 500, natt: 4500 },
    certificate: { fingerprint: own.fingerprint, intermediates: [] },
    trustAnchors: Object.entries(anchors).map(trusted),
    pools: [{ id: "pool", name: "pool", addresses: [pool] }],
    eapUsers: [
      { id: "staff", users: Object.entries(users).map(([name, secret]) => ({ name, secret: new Secret(secret) })) },
    ],
    connections: Object.values(connections),
    options: { commitConfirmSeconds: 60, reportSeconds: 5 },
  };
}

export const spisOf = ({ ours, child }: BothEnds) => ({
  ike: [ours.spiInitiator, ours.spiResponder].join(),
  child: [child.ours.spiIn, child.ours.spiOut].join(),
});
