import type { ChildIntent, ConnectionIntent } from "@sallyport/intent";
import type {
  Authority,
  Credential,
  IkeView,
  LibreswanConnection,
  LibreswanOptions,
  Topology,
} from "@sallyport/testkit";
import { type CableDifferences, cableTopology, cableTunnel } from "./cable.js";
import { countersOf, early, type Process } from "./counters.js";
import type { Ends, LibreswanLab, Setup } from "./daemons.js";
import { connectionIntent, gatewayIntent, type TunnelCase } from "./lab.js";

const IKE_WORDS: Readonly<Record<string, string>> = {
  aes128gcm16: "aes_gcm128",
  aes256gcm16: "aes_gcm256",
  chacha20poly1305: "chacha20_poly1305",
  aes128: "aes128",
  aes256: "aes256",
  aes128ctr: "aesctr128",
  aes256ctr: "aesctr256",
  sha1: "sha1",
  sha256: "sha2_256",
  sha384: "sha2_384",
  sha512: "sha2_512",
  aesxcbc: "aes_xcbc",
  prfsha256: "sha2_256",
  prfsha384: "sha2_384",
  prfsha512: "sha2_512",
  prfaesxcbc: "aes_xcbc",
  modp1536: "dh5",
  modp2048: "dh14",
  modp3072: "dh15",
  modp4096: "dh16",
  modp6144: "dh17",
  modp8192: "dh18",
  ecp256: "dh19",
  ecp384: "dh20",
  ecp521: "dh21",
  x25519: "dh31",
};
const isGroup = (word: string) => word.startsWith("dh");
const isAead = (word: string) => /gcm|ccm|poly1305/.test(word);

/**
 * A proposal of ours, e.g. `aes256-sha256-x25519-ecp256`, in libreswan's words. libreswan takes the PRF from the integrity
 * algorithm, wants one to be named after an AEAD, and has a setting of its own for extended sequence numbers.
 */
export function proposalOf(text: string, kind: "ike" | "esp"): string {
  const named = text.split("-").filter((word) => word !== "esn");
  const words = named.map((word) => {
    const theirs = IKE_WORDS[word];
    if (!theirs) throw new Error(`no name in libreswan for ${word}`);
    return theirs;
  });
  const groups = words.filter(isGroup);
  const rest = words.filter((word) => !isGroup(word));
  const aead = rest.some(isAead);
  const parts = aead && kind === "esp" ? [...rest, "null"] : rest;
  return [...parts, ...(groups.length > 0 ? [groups.join("+")] : [])].join("-");
}

/** Differences of one connection: `undefined` takes a key away. */
export type Settings = Readonly<Record<string, string | undefined>>;

/** libreswan's side of a tunnel; its name is that of the CHILD SA, as strongSwan's would be. */
export function libreswanConnection(tunnel: TunnelCase, more: Settings = {}): LibreswanConnection {
  const pfs = tunnel.esp.some((proposal) => proposal.split("-").some((word) => isGroup(IKE_WORDS[word] ?? "")));
  const settings: Settings = {
    left: tunnel.theirs.address,
    right: tunnel.ours.address,
    leftid: `@${tunnel.theirs.name}`,
    rightid: `@${tunnel.ours.name}`,
    leftsubnet: tunnel.theirs.subnet,
    rightsubnet: tunnel.ours.subnet,
    authby: tunnel.auth === "psk" ? "secret" : undefined,
    ike: tunnel.ike.map((proposal) => proposalOf(proposal, "ike")).join(","),
    esp: tunnel.esp.map((proposal) => proposalOf(proposal, "esp")).join(","),
    pfs: pfs ? "yes" : "no",
    esn: tunnel.esp.every((proposal) => proposal.endsWith("-esn")) ? "yes" : "either",
    ...more,
  };
  const entries = Object.entries(settings).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]));
  return { name: `${tunnel.id}-net`, ike: tunnel.id, settings: Object.fromEntries(entries) };
}

/** One tunnel with libreswan, as either end is told of it. */
export interface LibreswanCase {
  readonly tunnel: TunnelCase;
  readonly connection: ConnectionIntent;
  readonly settings: Settings;
  /** What libreswan takes for the shared secret. */
  readonly theirPsk: string | undefined;
}

/** How a tunnel differs from the plain one. */
export interface Differences {
  readonly tunnel?: Partial<TunnelCase>;
  readonly connection?: Partial<ConnectionIntent> | ((plain: ConnectionIntent) => Partial<ConnectionIntent>);
  readonly child?: Partial<ChildIntent>;
  readonly settings?: Settings;
  /** Absent: the same secret as ours, if any. */
  readonly theirPsk?: string;
}

export function libreswanCase(n: number, id: string, differences: Differences = {}): LibreswanCase {
  const tunnel = cableTunnel(n, id, { ike: ["aes256gcm16-prfsha256-x25519"], ...differences.tunnel });
  const plain = connectionIntent(tunnel);
  const children = plain.children.map((child) => ({ ...child, ...differences.child }));
  const { connection } = differences;
  return {
    tunnel,
    connection: { ...plain, children, ...(typeof connection === "function" ? connection(plain) : connection) },
    settings: differences.settings ?? {},
    theirPsk: differences.theirPsk ?? (tunnel.auth === "psk" ? tunnel.psk : undefined),
  };
}

/** Without a tunnel device libreswan's kernel needs a way towards our networks. */
export const libreswanCable = (ends: Ends, cases: readonly LibreswanCase[], more: CableDifferences = {}): Topology =>
  cableTopology(
    ends,
    cases.map((c) => c.tunnel),
    { ...more, routes: { theirs: [{ to: "10.1.0.0/16", via: "192.0.2.1" }], ...more.routes } },
  );

/** Both ends' setup; `more` is what libreswan has besides, `certificates` are for cases that are proved by them. */
export function libreswanSetup(
  cases: readonly LibreswanCase[],
  more: Partial<Setup<LibreswanOptions>["peer"]> = {},
  certificates?: { readonly own: Credential; readonly authority: Authority },
): Setup<LibreswanOptions> {
  return {
    peer: {
      ...more,
      secrets: [
        ...cases.flatMap(({ tunnel, theirPsk: psk }) => (psk === undefined ? [] : [secretOf({ ...tunnel, psk })])),
        ...(more.secrets ?? []),
      ],
      connections: [...cases.map((c) => libreswanConnection(c.tunnel, c.settings)), ...(more.connections ?? [])],
    },
    agent: {
      intent: { ...gatewayIntent("ours.test", [], certificates), connections: cases.map((c) => c.connection) },
      ...(certificates && { credential: certificates.own }),
    },
  };
}

/** libreswan brings up again what it has been told to bring up, so that it has to be told to end it too. */
export async function endBy(lab: LibreswanLab, { tunnel }: LibreswanCase, by: "ours" | "theirs"): Promise<void> {
  if (by === "ours") await lab.agent.ask("down", { tunnel: tunnel.id });
  else await lab.peer.terminate({ ike: tunnel.id });
  await lab.pair.gone(tunnel);
}

/** What libreswan has logged of a tunnel since the scenario began. */
export async function logOf(lab: LibreswanLab, { id }: TunnelCase): Promise<string> {
  const lines = (await lab.peer.log()).split("\n");
  return lines.filter((line) => line.includes(`"${id}-net"`)).join("\n");
}

/** Keys of a connection that shows the certificate `kind` and wants one of the same authority. */
export const byCertificate = (kind: "rsa" | "ecdsa"): Settings => ({
  authby: kind === "rsa" ? "rsasig" : "ecdsa",
  leftcert: kind,
  leftsendcert: "always",
  rightca: "%same",
});

/** Keys of a connection that asks the far end for a virtual address, and for what it may reach with it. */
export const ASKS_ADDRESS: Settings = {
  leftmodecfgclient: "yes",
  rightmodecfgserver: "yes",
  modecfgpull: "yes",
  narrowing: "yes",
  leftsubnet: "0.0.0.0/0",
  leftupdown: "/usr/libexec/ipsec/_updown",
  "ignore-peer-dns": "yes",
};

/** Keys of a connection that gives whoever calls a virtual address. */
export const GIVES_ADDRESS: Settings = {
  right: "%any",
  rightsubnet: undefined,
  leftmodecfgserver: "yes",
  rightmodecfgclient: "yes",
  modecfgpull: "yes",
  rightaddresspool: "10.9.1.10-10.9.1.20",
};

/** The line of ipsec.secrets for a tunnel. */
export const secretOf = (tunnel: TunnelCase) => `@${tunnel.theirs.name} @${tunnel.ours.name} : PSK "${tunnel.psk}"`;

export const credential = (name: string, { certificate, privateKey }: Credential) => ({
  name,
  certificate,
  privateKey,
});

/** A selector as pluto logs it: the addresses, all ports and protocols. */
export const wholeNet = (subnet: string) => {
  const network = subnet.replace(/\.0\/24$/, "");
  return `${network}.0-${network}.255:0-65535 0`;
};

export type LibreswanSa = IkeView;

/**
 * Packets that reached libreswan's kernel on a CHILD SA that it had taken away before its DELETE could be read. Its own clock waits for
 * our answer; a soft limit of the old inbound SA, reached meanwhile, does not.
 */
export const cutOff = (theirs: Process) => countersOf(theirs, /^In(NoStates|StateInvalid)$/);

/** Both: packets that libreswan loses in rekeys, whoever begins them. */
export async function strays(ours: Process, theirs: Process): Promise<number> {
  const [a, b] = await Promise.all([early(ours), cutOff(theirs)]);
  return a + b;
}
