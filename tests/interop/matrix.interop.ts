import type { PeerIkeSa, Strongswan } from "@sallyport/testkit";
import { peerConnection } from "./lab.js";
import { type Kind, matrix, type Starter } from "./matrix-lab.js";

type Group = "x25519" | "ecp256" | "modp2048";
type Cipher = "gcm" | "cbc";

/** Every pair of values of any two columns occurs. */
const ROWS: readonly (readonly [initiator: Starter, Kind, Group, Cipher])[] = [
  ["ours", "psk", "x25519", "gcm"],
  ["theirs", "psk", "ecp256", "cbc"],
  ["ours", "psk", "modp2048", "cbc"],
  ["theirs", "rsa", "x25519", "cbc"],
  ["ours", "rsa", "ecp256", "gcm"],
  ["theirs", "rsa", "modp2048", "gcm"],
  ["ours", "ecdsa", "x25519", "cbc"],
  ["theirs", "ecdsa", "ecp256", "gcm"],
  ["ours", "ecdsa", "modp2048", "gcm"],
];

const IKE_CIPHER: Record<Cipher, string> = { gcm: "aes256gcm16-prfsha384", cbc: "aes256-sha256" };
const ESP_CIPHER: Record<Cipher, string> = { gcm: "aes256gcm16", cbc: "aes128-sha256" };
const GROUP_NAME: Record<Group, string> = { x25519: "CURVE_25519", ecp256: "ECP_256", modp2048: "MODP_2048" };
/** As strongSwan lists them. */
const IKE_SUITE: Record<Cipher, string> = {
  gcm: "AES_GCM_16-256/PRF_HMAC_SHA2_384",
  cbc: "AES_CBC-256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256",
};
const ESP_SUITE: Record<Cipher, string> = { gcm: "AES_GCM_16-256", cbc: "AES_CBC-128/HMAC_SHA2_256_128" };

const rows = ROWS.map(([initiator, kind, group, cipher]) => {
  const id = `${kind}-${group}-${cipher}`;
  // Rekeys with PFS except in the rows with modp2048.
  const pfs = group !== "modp2048";
  return {
    title: `strongSwan, ${id}, initiated by ${initiator}`,
    id,
    initiator,
    kind,
    ike: `${IKE_CIPHER[cipher]}-${group}`,
    esp: pfs ? `${ESP_CIPHER[cipher]}-${group}` : ESP_CIPHER[cipher],
    ikeSuite: new RegExp(`^${IKE_SUITE[cipher]}/${GROUP_NAME[group]}$`),
    espSuite: (rekeyed: boolean) => (rekeyed && pfs ? `${ESP_SUITE[cipher]}/${GROUP_NAME[group]}` : ESP_SUITE[cipher]),
  };
});

matrix<Strongswan, PeerIkeSa>(rows, {
  name: "strongSwan",
  namespaces: "sp-matrix",
  certificatesProve: [2],
  start: (lab, namespace, tunnels, { authority, rsa, ecdsa }) =>
    lab.strongswan(namespace, {
      authorities: [authority.certificate],
      privateKeys: [rsa.privateKey, ecdsa.privateKey],
      secrets: tunnels.flatMap((t) => (t.auth === "psk" ? [{ owners: [t.theirs.name], secret: t.psk ?? "" }] : [])),
      connections: tunnels.map((t) => peerConnection(t, { psk: undefined, rsa, ecdsa }[t.kind])),
    }),
  packets: (child) => [child.packetsIn, child.packetsOut],
  selector: (subnet) => subnet,
  identity: (name) => name,
});
