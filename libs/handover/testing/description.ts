import { IpAddress, Prefix } from "@sallyport/base";
import {
  createIssuing,
  createRoot,
  EXTENDED_KEY_USAGE,
  generateKeys,
  issueLeaf,
  type KeyType,
  MemoryKeyStore,
  spkiOf,
} from "@sallyport/pki";
import type { ClientCredential, Description } from "../src/description.js";

export const NOW = Date.UTC(2026, 5, 1);
export const store = new MemoryKeyStore();

export const PASSPHRASE = "abcde-fghjk-mnpqr-stuvw";

const organization = "Acme";
export const root = await createRoot(store, { commonName: "Acme, root", organization }, NOW);
export const issuing = await createIssuing(store, root, { commonName: "Acme issuing", organization }, NOW);

/** A person's key with its certificate. */
export async function credentialOf(type: KeyType, email = "ann@example.org"): Promise<ClientCredential> {
  const { publicKey, privateKey } = await generateKeys(type);
  const { certificate } = await issueLeaf(store, issuing, {
    subject: [["CN", email]],
    spki: Uint8Array.from(spkiOf(publicKey)),
    names: [{ type: "email", value: email }],
    extendedKeyUsage: [EXTENDED_KEY_USAGE.clientAuth],
    now: NOW,
    notAfter: NOW + 86_400_000,
  });
  const privateDer = Uint8Array.from(privateKey.export({ format: "der", type: "pkcs8" }));
  return {
    privateKey: privateDer,
    certificate,
    above: [issuing.certificate, root.certificate],
    passphrase: PASSPHRASE,
  };
}

export const credential = await credentialOf("ecdsa-p256");

/** Of a person with a certificate, split networks and name servers. */
export function describedAs(changes: Partial<Description> = {}): Description {
  return {
    id: "service/ann",
    name: "Acme VPN",
    organization,
    gateway: {
      address: "vpn.example.org",
      identity: { type: "fqdn", value: "vpn.example.org" },
      provesAddress: true,
      authorities: [issuing.certificate, root.certificate],
    },
    proposals: {
      ike: ["aes256gcm16-prfsha384-x25519", "aes256-aes128-sha256-ecp256-modp2048"],
      esp: ["aes256gcm16-x25519", "aes256-aes128-sha256-ecp256-modp2048"],
    },
    authentication: "certificate",
    networks: [Prefix.parse("10.1.0.0/16"), Prefix.parse("10.2.0.0/16")],
    dns: [IpAddress.parse("10.1.0.53")],
    domains: [],
    person: { name: "Ann", username: "ann@example.org" },
    credential,
    ...changes,
  };
}

/** The same person with a password. */
export const withPassword = (changes: Partial<Description> = {}): Description =>
  describedAs({ authentication: "eap-mschapv2", credential: undefined, ...changes });

export const textOf = (content: Uint8Array | undefined): string => Buffer.from(content ?? []).toString("utf8");
