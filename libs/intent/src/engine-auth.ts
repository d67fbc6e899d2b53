import { Buffer } from "node:buffer";
import {
  type EapPeerConfig,
  type EapSecret,
  type EapServerConfig,
  type EapTlsSettings,
  type EapUsers,
  type LocalAuth,
  type NonEmpty,
  ntHash,
  type PeerConfig,
  type RemoteAuth,
  type TrustAnchor,
} from "@sallyport/ike";
import { identityMatch, ikeIdentity } from "./identity.js";
import type { Credential, LocalFacts } from "./local-facts.js";
import type {
  ConnectionIntent,
  EapUserIntent,
  GatewayIntent,
  LocalEap,
  PeerAuth,
  PeerEap,
  PeerIdentity,
} from "./model.js";
import { Secret } from "./secret.js";

/** The certificates that connections need. */
export interface Own {
  /** The gateway's; undefined while there is none. */
  readonly usual: Credential | undefined;
  readonly named: LocalFacts["credential"];
}

export type Anchors = ReadonlyMap<string, TrustAnchor>;

const ANY_VERSION = { min: "1.2", max: "1.3" } as const;

/** Undefined while the gateway has no certificate and needs one. */
function localAuthOf(
  { local, peer }: Pick<ConnectionIntent, "local" | "peer">,
  { usual, named }: Own,
  anchors: Anchors,
): LocalAuth | undefined {
  const identity = "value" in local.identity ? ikeIdentity(local.identity) : "auto";
  if (local.method === "psk") return { method: "psk", identity, secret: local.secret.bytes() };
  if (local.method === "eap") {
    if (!local.methods) return { method: "eap", identity };
    const eap = clientOf(local, peer.identity, usual, anchors);
    return eap && { method: "eap", identity, eap };
  }
  const { signatures, certificates } = local;
  const [first, ...others] = (certificates?.map(named) ?? [usual]).filter((c) => c !== undefined);
  return first && { method: "certificate", identity, credentials: [first, ...others], signatures };
}

/** Undefined while the gateway has no certificate and needs one. */
function remoteAuthOf(peer: PeerAuth, credential: Credential | undefined, anchors: Anchors): RemoteAuth | undefined {
  const identity = identityMatch(peer.identity);
  switch (peer.method) {
    case "psk":
      return {
        method: "psk",
        identity,
        secrets: [peer, ...(peer.alsoAccepted ?? [])].map(({ secret }) => secret.bytes()),
        keyIds: [peer, ...(peer.alsoAccepted ?? [])].map(({ keyId }) => keyId),
      };
    case "certificate":
      return {
        method: "certificate",
        identity,
        trust: trustOf(peer.trustAnchorIds, anchors),
        pinned: peer.fingerprints?.map((hex) => Uint8Array.from(Buffer.from(hex, "hex"))),
        signatures: peer.signatures,
      };
    case "eap": {
      if (!peer.methods) return { method: "eap", identity };
      const eap = serverOf(peer, credential, anchors);
      const { user, samePerson } = peer;
      return (
        eap && { method: "eap", identity, eap, ...(user !== undefined && { user }), ...(samePerson && { samePerson }) }
      );
    }
  }
}

/** The rounds of both ends, and a PPK; undefined while the gateway has no certificate and needs one. */
export function authenticationOf(
  connection: ConnectionIntent,
  own: Own,
  anchors: Anchors,
): Pick<PeerConfig, "localAuth" | "remoteAuth" | "ppk"> | undefined {
  const { local, peer, localRounds = [], peerRounds = [], ppk } = connection;
  const localAuth = whole([local, ...localRounds].map((x) => localAuthOf({ local: x, peer }, own, anchors)));
  // What callers see in EAP is what they see in IKE.
  const shown =
    local.method === "certificate" && local.certificates?.[0] ? own.named(local.certificates[0]) : own.usual;
  const remoteAuth = whole([peer, ...peerRounds].map((x) => remoteAuthOf(x, shown, anchors)));
  if (!localAuth || !remoteAuth) return undefined;
  const id = Uint8Array.from(Buffer.from(ppk?.id ?? "", "utf8"));
  const mixed = ppk && { ppk: { id, secret: ppk.secret.bytes(), required: ppk.required ?? true } };
  return { localAuth, remoteAuth, ...mixed };
}

/** All of a list, when all are there. */
function whole<T>(list: readonly (T | undefined)[]): NonEmpty<T> | undefined {
  const [first, ...rest] = list.filter((x) => x !== undefined);
  return first !== undefined && rest.length + 1 === list.length ? [first, ...rest] : undefined;
}

/** For the engine: passwords by name, by set. */
export function eapUsersOf({ eapUsers = [] }: GatewayIntent): ReadonlyMap<string, EapUsers> {
  return new Map(eapUsers.map(({ id, users }) => [id, new Map(users.map((u) => [u.name, eapSecret(u)]))]));
}

function eapSecret({ secret, verifier }: EapUserIntent): EapSecret {
  if (verifier === undefined) return password(secret);
  return { ntHash: Uint8Array.from(Buffer.from(secret.reveal(), "hex")) };
}

/** What a gateway verifies EAP-MSCHAPv2 by instead of the password: `EapUserIntent` with this secret and `verifier: "nt-hash"`. */
export function mschapVerifier(text: string): Secret {
  return new Secret(Buffer.from(ntHash(Buffer.from(text, "utf8"))).toString("hex"));
}

/** Text as it was typed; `0x` has no meaning in a password. */
function password(secret: Secret): Uint8Array {
  return Uint8Array.from(Buffer.from(secret.reveal(), "utf8"));
}

function trustOf(ids: readonly string[] | undefined, anchors: Anchors): TrustAnchor[] {
  return (ids ?? []).flatMap((id) => anchors.get(id) ?? []);
}

function tlsOf(
  { trustAnchorIds, tlsVersions }: LocalEap | PeerEap,
  { key, chain }: Credential,
  anchors: Anchors,
): EapTlsSettings {
  return { key, chain, trust: trustOf(trustAnchorIds, anchors), versions: tlsVersions ?? ANY_VERSION };
}

function clientOf(
  local: LocalEap & { readonly identity: { readonly value: string } },
  server: PeerIdentity,
  credential: Credential | undefined,
  anchors: Anchors,
): EapPeerConfig | undefined {
  const { methods = [], user = local.identity.value, secret, serverIdentity = server } = local;
  const config = { methods, identity: user, ...(secret && { password: password(secret) }) };
  if (!methods.includes("tls")) return config;
  if (!credential) return undefined;
  const expected =
    "value" in serverIdentity && identityMatch(serverIdentity).match === "is"
      ? { server: ikeIdentity(serverIdentity) }
      : {};
  return { ...config, tls: { ...tlsOf(local, credential, anchors), ...expected } };
}

function serverOf(peer: PeerEap, credential: Credential | undefined, anchors: Anchors): EapServerConfig | undefined {
  const { methods = [], userSetId, askIdentity = true } = peer;
  const config = {
    methods,
    identity: askIdentity ? "ask" : "ike",
    ...(userSetId !== undefined && { users: userSetId }),
  } as const;
  if (!methods.includes("tls")) return config;
  return credential && { ...config, tls: tlsOf(peer, credential, anchors) };
}
