import { readFile } from "node:fs/promises";
import type { Credential, IkeView, LibreswanConnection } from "@sallyport/testkit";
import type { TunnelCase } from "./lab.js";

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

/** Keys of a connection that shows the certificate `kind` and wants one of the same authority. */
export const byCertificate = (kind: "rsa" | "ecdsa"): Settings => ({
  authby: kind === "rsa" ? "rsasig" : "ecdsa",
  leftcert: kind,
  leftsendcert: "always",
  rightca: "%same",
});

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
 * Packets that came to either kernel with an SPI that it does not know (yet, or any more). libreswan loses some in a rekey: when it
 * answers, it sends with the new CHILD SA before its answer can have been read; when it asks, it takes the old one away before its
 * DELETE can have been read.
 */
export async function strays(...ends: readonly { readonly pid: number }[]): Promise<number> {
  const texts = await Promise.all(ends.map(({ pid }) => readFile(`/proc/${pid}/net/xfrm_stat`, "utf8")));
  const counts = texts.flatMap((text) =>
    [...text.matchAll(/^Xfrm(?:InNoStates|InStateInvalid|AcquireError)\s+(\d+)/gm)].map((match) => Number(match[1])),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
