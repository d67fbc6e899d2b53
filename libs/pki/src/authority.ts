import {
  type Built,
  buildCertificate,
  type Issuer,
  type IssuerPlaces,
  keyIdOf,
  nameDer,
  type Subject,
} from "./builder.js";
import { type Certificate, readCertificate } from "./certificate.js";
import { violates } from "./constraints.js";
import { decode, sequence } from "./der.js";
import { encode, generalNameDer, type SubjectName, sequenceOf } from "./der-writer.js";
import { EXTENDED_KEY_USAGE, type NameRules } from "./extensions.js";
import { fault } from "./faults.js";
import { readGeneralNames } from "./general-names.js";
import type { KeyType } from "./keys.js";
import type { KeyHandle, KeyStore } from "./keystore.js";
import { readName } from "./names.js";

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
  responder: 30 * DAY,
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

/** What a CA is to be. */
export interface AuthorityTemplate {
  readonly subject: Subject;
  readonly now: number;
  /** Milliseconds since 1970. */
  readonly notAfter: number;
  /** How many CAs may stand below it; undefined: any number. */
  readonly pathLength?: number | undefined;
  readonly names?: NameRules | undefined;
  /** Of the one above it. */
  readonly places?: IssuerPlaces | undefined;
}

export const authoritySubject = (name: AuthorityName): Subject => [
  ["O", name.organization],
  ["CN", name.commonName],
];

/**
 * Certifies a CA whose key the store has, by itself or by the CA above it.
 * @throws pki/forbidden-use, pki/validity-exceeded, pki/expired, pki/name-constrained
 */
export async function certifyAuthority(
  store: KeyStore,
  key: KeyHandle,
  parent: Authority | undefined,
  template: AuthorityTemplate,
): Promise<Authority> {
  const { subject, names, pathLength, places, now, notAfter } = template;
  if (parent) requireRoomBelow(parent, pathLength);
  const wanted = { subject, spki: key.spki, notBefore: now - BACKDATE, notAfter, places, ca: { pathLength, names } };
  if (parent) requireMayIssue(parent, wanted, now);
  const { der } = await buildCertificate(store, parent ? issuerOf(parent) : key, wanted);
  return { certificate: readCertificate(der), key, above: parent ? [parent.certificate, ...parent.above] : [] };
}

/** Path lengths (RFC 5280 §4.2.1.9) of all CAs above hold, not only the next one's. */
function requireRoomBelow({ certificate, above }: Authority, wanted: number | undefined): void {
  [certificate, ...above].forEach(({ pathLength, subject }, between) => {
    if (pathLength === undefined) return;
    const room = pathLength - between - 1;
    if (room >= 0 && wanted !== undefined && wanted <= room) return;
    throw fault("pki/forbidden-use", `${subject.text} allows ${pathLength} CAs below it`, {
      field: "pathLength",
      value: String(wanted ?? "unlimited"),
      expected: room < 0 ? "no CA below this one" : `at most ${room}`,
    });
  });
}

/** Makes a root: a new key in the store and a certificate signed by it. One CA may stand between it and what is issued. */
export async function createRoot(
  store: KeyStore,
  name: AuthorityName,
  now: number,
  type: KeyType = "ecdsa-p256",
): Promise<Authority> {
  const template = { subject: authoritySubject(name), now, notAfter: now + LIFETIMES.root, pathLength: 1 };
  return certifyAuthority(store, await store.generate(type), undefined, template);
}

/** Makes an issuing CA below a root. */
export async function createIssuing(
  store: KeyStore,
  root: Authority,
  name: AuthorityName,
  now: number,
  type: KeyType = "ecdsa-p256",
): Promise<Authority> {
  const template = { subject: authoritySubject(name), now, notAfter: now + LIFETIMES.issuing, pathLength: 0 };
  return certifyAuthority(store, await store.generate(type), root, template);
}

const ISSUERS = new WeakMap<Authority, Issuer>();

/** What of a CA goes into everything that it signs. */
export function issuerOf(authority: Authority): Issuer {
  const known = ISSUERS.get(authority);
  if (known !== undefined) return known;
  const { certificate, key } = authority;
  const issuer = { key, name: certificate.subject.der, keyId: certificate.subjectKeyId ?? keyIdOf(key.spki) };
  ISSUERS.set(authority, issuer);
  return issuer;
}

/** Leaf first, root last, DER. */
export type Chain = readonly Uint8Array[];

export interface Issued extends Built {
  /** Taken apart again at the first use. */
  readonly certificate: Certificate;
  readonly chain: Chain;
}

export interface LeafTemplate {
  readonly subject: Subject;
  readonly spki: Uint8Array;
  readonly now: number;
  /** Milliseconds since 1970. */
  readonly notAfter: number;
  readonly extendedKeyUsage: readonly string[];
  readonly names: readonly SubjectName[];
  readonly places?: IssuerPlaces | undefined;
  readonly noCheck?: boolean;
}

/**
 * Issues a certificate to the holder of a key.
 * @throws pki/expired, pki/validity-exceeded, pki/name-constrained
 */
export async function issueLeaf(store: KeyStore, by: Authority, leaf: LeafTemplate): Promise<Issued> {
  requireMayIssue(by, leaf, leaf.now);
  const built = await buildCertificate(store, issuerOf(by), { ...leaf, notBefore: leaf.now - BACKDATE });
  let certificate: Certificate | undefined;
  return {
    ...built,
    chain: [built.der, by.certificate.der, ...by.above.map((c) => c.der)],
    get certificate() {
      certificate ??= readCertificate(built.der, "issued");
      return certificate;
    },
  };
}

interface Wanted {
  readonly subject: Subject;
  readonly notAfter: number;
  readonly names?: readonly SubjectName[] | undefined;
}

function requireMayIssue(by: Authority, wanted: Wanted, now: number): void {
  const chain = [by.certificate, ...by.above];
  const end = Math.min(...chain.map((c) => c.notAfter));
  const issuer = by.certificate.subject.text;
  if (end < now) throw fault("pki/expired", `${issuer} expired and issues nothing more`, { field: "authority" });
  if (wanted.notAfter > end) {
    throw fault("pki/validity-exceeded", `${issuer} would issue beyond its own end`, {
      field: "notAfter",
      value: new Date(wanted.notAfter).toISOString(),
      expected: `at most ${new Date(end).toISOString()}`,
    });
  }
  for (const ca of chain.filter((c) => c.nameConstraints !== undefined)) requireWithin(ca, wanted);
}

function requireWithin(ca: Certificate, { subject, names = [] }: Wanted): void {
  const list = sequence(decode(encode(sequenceOf(...names.map(generalNameDer))), "names"), "names");
  const name = readName(decode(encode(nameDer(subject)), "subject"), "subject");
  const why = ca.nameConstraints && violates(ca.nameConstraints, readGeneralNames(list, "names", [4, 16]), name);
  if (why === undefined) return;
  throw fault("pki/name-constrained", `${ca.subject.text}: ${why}`, { field: "names", value: why });
}

/** Within the CA's own life. */
const until = (by: Authority, wanted: number) =>
  Math.min(wanted, ...[by.certificate, ...by.above].map((c) => c.notAfter));

const { serverAuth, clientAuth, ikeIntermediate, ocspSigning } = EXTENDED_KEY_USAGE;

/** What a gateway shows its IKE peers: proves `fqdn` as ID_FQDN. The extended key usages are those that IKE implementations ask for. */
export function issueGateway(
  store: KeyStore,
  by: Authority,
  request: {
    readonly fqdn: string;
    /** The address that callers know; some compare the certificate with nothing else. */
    readonly address?: SubjectName | undefined;
    readonly organization: string;
    readonly spki: Uint8Array;
    readonly now: number;
    readonly places?: IssuerPlaces | undefined;
  },
): Promise<Issued> {
  return issueLeaf(store, by, {
    ...request,
    subject: [
      ["O", request.organization],
      ["CN", request.fqdn],
    ],
    notAfter: until(by, request.now + LIFETIMES.gateway),
    extendedKeyUsage: [serverAuth, clientAuth, ikeIntermediate],
    names: [{ type: "dns", value: request.fqdn }, ...(request.address ? [request.address] : [])],
  });
}

const GATEWAY_URN = "urn:sallyport:gateway:";

/** What an agent shows the control plane: names the gateway by its id, and nothing that an IKE peer would take. */
export function issueAgent(
  store: KeyStore,
  by: Authority,
  request: { readonly gatewayId: string; readonly spki: Uint8Array; readonly now: number },
): Promise<Issued> {
  return issueLeaf(store, by, {
    ...request,
    subject: [["CN", `agent ${request.gatewayId}`]],
    notAfter: until(by, request.now + LIFETIMES.agent),
    extendedKeyUsage: [clientAuth],
    names: [{ type: "uri", value: GATEWAY_URN + request.gatewayId }],
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
  return issueLeaf(store, by, {
    ...request,
    subject: [["CN", request.name]],
    notAfter: until(by, request.now + LIFETIMES.server),
    extendedKeyUsage: [serverAuth],
    names: [{ type: "dns", value: request.name }],
  });
}

/** Who signs a CA's OCSP answers in its name (RFC 6960 §4.2.2.2), so that the CA's own key rests. */
export function issueResponder(
  store: KeyStore,
  by: Authority,
  request: { readonly spki: Uint8Array; readonly now: number },
): Promise<Issued> {
  return issueLeaf(store, by, {
    ...request,
    subject: [["CN", "OCSP responder"]],
    notAfter: until(by, request.now + LIFETIMES.responder),
    extendedKeyUsage: [ocspSigning],
    names: [],
    noCheck: true,
  });
}
