import { type Proposal, type ProposalUse, parseProposals } from "@sallyport/intent";
import type { Certificate, Pkcs12Encryption } from "@sallyport/pki";
import { type Authentication, WANTS_CERTIFICATE, wantsPassword } from "./description.js";

export const DEVICES = ["apple", "windows", "android", "swanctl", "network-manager", "routeros"] as const;
export type Device = (typeof DEVICES)[number];

/** What a device can do with what a profile tells it. */
export interface DeviceRules {
  /** What it can propose; absent: whatever the gateway does. Without groups in ESP: no PFS. */
  readonly suites: Readonly<Record<ProposalUse, readonly Proposal[] | undefined>>;
  /** `one` suite, several algorithms in one `proposal`, or as many proposals as there are. */
  readonly holds: "one" | "proposal" | "all";
  /** Strongest first. */
  readonly authentication: readonly Authentication[];
  readonly keys: readonly Certificate["kind"][];
  readonly identities: readonly ("fqdn" | "address" | "email" | "dn")[];
  /** It compares the gateway's certificate with the address that it connects to, and with nothing else. */
  readonly identityIsAddress: boolean;
  /** How it is kept to the networks. */
  readonly networks: "profile" | "first" | "routes";
  readonly dns: "profile" | "full-tunnel" | "gateway";
  readonly domains: boolean;
  readonly pkcs12: Pkcs12Encryption;
  /** Whether it asks for a password by itself. */
  readonly asksPassword: boolean;
}

const suites = (ike: readonly string[], esp: readonly string[]) => ({
  ike: parseProposals(ike, "ike"),
  esp: parseProposals(esp, "esp"),
});
const EVERYTHING = { ike: undefined, esp: undefined };

const NIST_CURVES = ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521"] as const;
const ANY_IDENTITY = ["fqdn", "address", "email", "dn"] as const;
const BIG_GROUPS = "modp2048-modp3072-modp4096-modp6144-modp8192-ecp256-ecp384-ecp521";
const MIKROTIK_GROUPS = `modp1024-modp1536-${BIG_GROUPS}`;
const AES_CBC = "aes256-aes192-aes128";

/**
 * Phase 2 is listed without PFS for most clients, since that is how they call when left alone. Where a profile has a word for PFS
 * (EnablePFS, PfsGroup, the group in esp-proposal), the groups of phase 1 are there too, and are used when the gateway insists.
 */
export const DEVICE_RULES: Readonly<Record<Device, DeviceRules>> = {
  apple: {
    suites: suites(
      ["aes256-sha256-modp2048-ecp256-modp1536", "aes128-sha1-modp1024", "3des-sha1-modp1024"],
      ["aes256-sha256-modp2048-ecp256-modp1536", "aes128-sha1-modp1024", "3des-sha1-modp1024"],
    ),
    holds: "one",
    authentication: ["certificate", "eap-tls", "eap-mschapv2"],
    keys: ["rsa", ...NIST_CURVES],
    // A distinguished name goes out as ID_FQDN.
    identities: ["fqdn", "address", "email"],
    identityIsAddress: false,
    networks: "first",
    dns: "full-tunnel",
    domains: false,
    pkcs12: "legacy",
    asksPassword: true,
  },
  windows: {
    suites: suites(
      [
        "3des-aes128-aes192-aes256-sha256-sha1-modp2048-modp1024",
        "aes128gcm16-aes256gcm16-prfsha256-prfsha1-modp2048-modp1024",
      ],
      ["aes128-sha256-modp2048", "aes256-aes128-3des-sha1-modp2048"],
    ),
    holds: "one",
    // In IKE itself Windows uses a certificate of the machine's, whose key everybody has who uses the machine.
    authentication: ["eap-tls", "certificate", "eap-mschapv2"],
    keys: ["rsa", "ecdsa-p256", "ecdsa-p384"],
    identities: ["fqdn", "address"],
    identityIsAddress: true,
    networks: "routes",
    dns: "gateway",
    domains: false,
    pkcs12: "modern",
    asksPassword: true,
  },
  android: {
    suites: suites(
      [
        `${AES_CBC}-sha512-sha384-sha256-sha1-${BIG_GROUPS}`,
        `aes256gcm16-aes192gcm16-aes128gcm16-prfsha512-prfsha384-prfsha256-prfsha1-${BIG_GROUPS}`,
      ],
      [`aes256gcm16-aes128gcm16-${BIG_GROUPS}`, `${AES_CBC}-sha256-sha512-sha1-${BIG_GROUPS}`],
    ),
    holds: "proposal",
    authentication: ["certificate-and-eap-mschapv2", "certificate", "eap-tls", "eap-mschapv2"],
    keys: ["rsa", ...NIST_CURVES],
    identities: ANY_IDENTITY,
    identityIsAddress: false,
    networks: "profile",
    dns: "profile",
    domains: false,
    // The key goes into the system's store, whose older versions read nothing else.
    pkcs12: "legacy",
    asksPassword: true,
  },
  swanctl: {
    suites: EVERYTHING,
    holds: "all",
    authentication: ["certificate-and-eap-mschapv2", "certificate", "eap-tls", "eap-mschapv2"],
    keys: ["rsa", ...NIST_CURVES, "ed25519", "ed448"],
    identities: ANY_IDENTITY,
    identityIsAddress: false,
    networks: "profile",
    dns: "gateway",
    domains: false,
    pkcs12: "modern",
    asksPassword: false,
  },
  "network-manager": {
    suites: EVERYTHING,
    holds: "all",
    authentication: ["certificate", "eap-tls", "eap-mschapv2"],
    keys: ["rsa", ...NIST_CURVES, "ed25519", "ed448"],
    identities: ANY_IDENTITY,
    identityIsAddress: false,
    networks: "profile",
    dns: "profile",
    domains: true,
    pkcs12: "modern",
    asksPassword: true,
  },
  routeros: {
    suites: suites(
      [`${AES_CBC}-3des-sha512-sha256-sha1-${MIKROTIK_GROUPS}`],
      [
        `aes256gcm16-aes192gcm16-aes128gcm16-${MIKROTIK_GROUPS}`,
        `${AES_CBC}-3des-sha512-sha256-sha1-${MIKROTIK_GROUPS}`,
      ],
    ),
    holds: "one",
    authentication: ["certificate", "eap-tls", "eap-mschapv2"],
    keys: ["rsa", ...NIST_CURVES],
    identities: ANY_IDENTITY,
    identityIsAddress: false,
    networks: "profile",
    dns: "gateway",
    domains: false,
    pkcs12: "legacy",
    asksPassword: false,
  },
};

/** What a person can prove himself by. */
export interface Proofs {
  /** One that is handed over: whoever gets it uses it. */
  readonly certificate: boolean;
  readonly password: boolean;
}

/**
 * How the device proves a person to a gateway that takes `methods`: the strongest that both can do and for which the person has what it
 * takes. A password that it wants may still be set later, where there is no other way.
 */
export function authenticationFor(
  device: Device,
  methods: readonly Authentication[],
  { certificate, password }: Proofs,
): Authentication | undefined {
  const able = DEVICE_RULES[device].authentication.filter(
    (a) => methods.includes(a) && WANTS_CERTIFICATE[a] === certificate,
  );
  return able.find((a) => password || !wantsPassword(a)) ?? able[0];
}
