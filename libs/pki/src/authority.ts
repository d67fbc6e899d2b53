import { buildCertificate, type Issuer, x509 } from "./builder.js";
import type { Certificate } from "./certificate.js";
import { fault } from "./faults.js";
import type { KeyKind } from "./keys.js";
import type { KeyHandle, KeyStore } from "./keystore.js";
import { IKE_INTERMEDIATE } from "./path.js";

const DAY = 24 * 3600 * 1000;
/** Certificates are valid from a little before they are made: gateways' clocks are not all right. */
const BACKDATE = 10 * 60 * 1000;

/** How long what an authority issues is valid, in milliseconds. */
export const LIFETIMES = {
  root: 3650 * DAY,
  issuing: 1825 * DAY,
  gateway: 90 * DAY,
  agent: 90 * DAY,
  server: 30 * DAY,
} as const;

/** A CA: its certificate, and the handle of the key that signs in its name. */
export interface Authority {
  readonly certificate: Certificate;
  readonly key: KeyHandle;
  /** CAs above it, the next one first, the root last; empty for a root. */
  readonly above: readonly Certificate[];
}

export interface AuthorityName {
  readonly commonName: string;
  readonly organization: string;
}

const subjectOf = (name: AuthorityName) => [{ O: name.organization }, { CN: name.commonName }];

/** Makes a root: a new key in the store and a certificate signed by it. One CA may stand between it and what is issued. */
export async function createRoot(
  store: KeyStore,
  name: AuthorityName,
  now: number,
  kind: KeyKind = "ecdsa-p256",
): Promise<Authority> {
  return createCa(store, undefined, name, now, kind);
}

/** Makes an issuing CA below a root. */
export async function createIssuing(
  store: KeyStore,
  root: Authority,
  name: AuthorityName,
  now: number,
  kind: KeyKind = "ecdsa-p256",
): Promise<Authority> {
  return createCa(store, root, name, now, kind);
}

async function createCa(
  store: KeyStore,
  parent: Authority | undefined,
  name: AuthorityName,
  now: number,
  kind: KeyKind,
): Promise<Authority> {
  const { KeyUsageFlags } = await x509();
  const key = await store.generate(kind);
  const issuer: Issuer = parent ? { key: parent.key, certificate: parent.certificate } : { key };
  const certificate = await buildCertificate(store, issuer, {
    subject: subjectOf(name),
    spki: key.spki,
    notBefore: now - BACKDATE,
    notAfter: now + (parent ? LIFETIMES.issuing : LIFETIMES.root),
    ca: { pathLength: parent ? 0 : 1 },
    keyUsage: KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign,
  });
  return { certificate, key, above: parent ? [parent.certificate, ...parent.above] : [] };
}

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** Leaf first, root last, DER. */
export type Chain = readonly Uint8Array[];

export interface Issued {
  readonly certificate: Certificate;
  readonly chain: Chain;
}

interface LeafTemplate {
  readonly subject: readonly Readonly<Record<string, string>>[];
  readonly spki: Uint8Array;
  readonly lifetime: number;
  readonly extendedKeyUsage: readonly string[];
  readonly names: { readonly type: "dns" | "url"; readonly value: string }[];
}

async function issue(store: KeyStore, by: Authority, now: number, leaf: LeafTemplate): Promise<Issued> {
  if (by.certificate.notAfter < now) {
    throw fault("pki/expired", `${by.certificate.subject.text} expired and issues nothing more`, {
      field: "authority",
    });
  }
  const { KeyUsageFlags } = await x509();
  const certificate = await buildCertificate(
    store,
    { key: by.key, certificate: by.certificate },
    {
      subject: leaf.subject,
      spki: leaf.spki,
      notBefore: now - BACKDATE,
      notAfter: now + leaf.lifetime,
      keyUsage: KeyUsageFlags.digitalSignature,
      extendedKeyUsage: leaf.extendedKeyUsage,
      names: leaf.names,
    },
  );
  return { certificate, chain: [certificate.der, by.certificate.der, ...by.above.map((c) => c.der)] };
}

/** What a gateway shows its IKE peers: proves `fqdn` as ID_FQDN. The extended key usages are those that IKE implementations ask for. */
export function issueGateway(
  store: KeyStore,
  by: Authority,
  request: { readonly fqdn: string; readonly organization: string; readonly spki: Uint8Array; readonly now: number },
): Promise<Issued> {
  return issue(store, by, request.now, {
    subject: [{ O: request.organization }, { CN: request.fqdn }],
    spki: request.spki,
    lifetime: LIFETIMES.gateway,
    extendedKeyUsage: [SERVER_AUTH, CLIENT_AUTH, IKE_INTERMEDIATE],
    names: [{ type: "dns", value: request.fqdn }],
  });
}

const GATEWAY_URN = "urn:sallyport:gateway:";

/** What an agent shows the control plane: names the gateway by its id, and nothing that an IKE peer would take. */
export function issueAgent(
  store: KeyStore,
  by: Authority,
  request: { readonly gatewayId: string; readonly spki: Uint8Array; readonly now: number },
): Promise<Issued> {
  return issue(store, by, request.now, {
    subject: [{ CN: `agent ${request.gatewayId}` }],
    spki: request.spki,
    lifetime: LIFETIMES.agent,
    extendedKeyUsage: [CLIENT_AUTH],
    names: [{ type: "url", value: GATEWAY_URN + request.gatewayId }],
  });
}

/** The gateway that an agent's certificate names, undefined when it is no agent's. */
export function gatewayIdOf(certificate: Certificate): string | undefined {
  const [uri, ...more] = certificate.names.uri;
  return more.length === 0 && uri?.startsWith(GATEWAY_URN) ? uri.slice(GATEWAY_URN.length) : undefined;
}

/** What the control plane shows its agents. */
export function issueServer(
  store: KeyStore,
  by: Authority,
  request: { readonly name: string; readonly spki: Uint8Array; readonly now: number },
): Promise<Issued> {
  return issue(store, by, request.now, {
    subject: [{ CN: request.name }],
    spki: request.spki,
    lifetime: LIFETIMES.server,
    extendedKeyUsage: [SERVER_AUTH],
    names: [{ type: "dns", value: request.name }],
  });
}
