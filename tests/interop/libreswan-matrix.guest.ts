import type { IkeView, Libreswan } from "@sallyport/testkit";
import { byCertificate, credential, libreswanConnection, secretOf, strays, wholeNet } from "./libreswan-lab.js";
import { type Kind, matrix, type Starter } from "./matrix-lab.js";

/** libreswan takes the PRF of an AEAD from a list of its own and elsewhere from the integrity algorithm. */
const ROWS: readonly (readonly [initiator: Starter, Kind, ike: string, esp: string])[] = [
  ["ours", "psk", "aes256gcm16-prfsha256-x25519", "aes256gcm16-x25519"],
  ["theirs", "psk", "aes256-sha256-ecp256", "aes128-sha256-ecp256"],
  ["ours", "psk", "aes128-sha512-modp2048", "aes256-sha512"],
  ["theirs", "rsa", "aes256-sha384-ecp384", "aes128gcm16-ecp384"],
  ["ours", "rsa", "chacha20poly1305-prfsha256-x25519", "chacha20poly1305-x25519"],
  ["theirs", "ecdsa", "aes128gcm16-prfsha512-ecp521", "aes256-sha384"],
  ["ours", "ecdsa", "aes256-sha1-modp3072", "aes128-sha1-modp3072"],
];

/** As pluto names them in its log. */
const NAME: Readonly<Record<string, string>> = {
  aes256gcm16: "AES_GCM_16_256",
  aes128gcm16: "AES_GCM_16_128",
  chacha20poly1305: "CHACHA20_POLY1305",
  aes128: "AES_CBC_128",
  aes256: "AES_CBC_256",
  sha1: "HMAC_SHA1_96",
  sha256: "HMAC_SHA2_256_128",
  sha384: "HMAC_SHA2_384_192",
  sha512: "HMAC_SHA2_512_256",
  modp2048: "MODP2048",
  modp3072: "MODP3072",
  ecp256: "DH19",
  ecp384: "DH20",
  ecp521: "DH21",
  x25519: "DH31",
};

function ikeSuite(proposal: string): RegExp {
  const words = proposal.split("-").map((word) => NAME[word] ?? "");
  return new RegExp(`^[^/]*${words[0]}[^/]*/.*/${words.at(-1)}$`);
}

/** Without its group, which only a rekey uses. */
function espSuite(proposal: string, rekeyed: boolean): string {
  const words = proposal.split("-").map((word) => NAME[word] ?? "");
  const hasGroup = /^(DH|MODP)/.test(words.at(-1) ?? "");
  const [cipher = "", integrity] = hasGroup ? words.slice(0, -1) : words;
  return [cipher, integrity ?? "NONE", ...(rekeyed && hasGroup ? [words.at(-1) ?? ""] : [])].join("-");
}

const rows = ROWS.map(([initiator, kind, ike, esp], index) => ({
  title: `libreswan, ${ike}, ${kind}, initiated by ${initiator}`,
  id: `case${index + 1}`,
  initiator,
  kind,
  ike,
  esp,
  ikeSuite: ikeSuite(ike),
  espSuite: (rekeyed: boolean) => espSuite(esp, rekeyed),
}));

/** Octets of one ping and its headers. */
const PING = 84;

matrix<Libreswan, IkeView>(rows, {
  name: "libreswan",
  namespaces: "sp-lmatrix",
  // With RSA keys libreswan signs with PSS, and all signatures are those of RFC 7427.
  certificatesProve: [2, 29],
  start: (lab, namespace, tunnels, { authority, rsa, ecdsa }) =>
    lab.libreswan(namespace, {
      authorities: [{ name: "root", certificate: authority.certificate, trusted: true }],
      credentials: [credential("rsa", rsa), credential("ecdsa", ecdsa)],
      secrets: tunnels.filter((t) => t.auth === "psk").map(secretOf),
      connections: tunnels.map((t) => libreswanConnection(t, t.kind === "psk" ? {} : byCertificate(t.kind))),
      setup: { uniqueids: "no" },
    }),
  packets: (child) => [Math.floor(child.bytesIn / PING), Math.floor(child.bytesOut / PING)],
  selector: wholeNet,
  identity: (name) => `@${name}`,
  lost: (agent, peer) => strays(agent, peer),
});
