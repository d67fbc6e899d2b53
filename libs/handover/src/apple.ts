import type { Proposal } from "@sallyport/intent";
import { type Certificate, commonNameOf } from "@sallyport/pki";
import { authoritiesOf, type Description, rootOf } from "./description.js";
import { fault } from "./faults.js";
import { uuidFor } from "./fingerprint.js";
import { type Order, textFile, type Written } from "./order.js";
import { type PlistValue, plist } from "./plist.js";

const MEDIA_TYPE = "application/x-apple-aspen-config";

const INTEGRITY: Readonly<Record<string, string>> = { "hmac-sha1-96": "SHA1-96", "hmac-sha2-256-128": "SHA2-256" };
const GROUPS: Readonly<Record<string, number>> = { modp1024: 2, modp1536: 5, modp2048: 14, ecp256: 19 };
const CERTIFICATE_TYPE: Readonly<Record<string, string>> = {
  "ecdsa-p256": "ECDSA256",
  "ecdsa-p384": "ECDSA384",
  "ecdsa-p521": "ECDSA521",
};

function parameters({ encryption, integrity, groups }: Proposal): { readonly [key: string]: PlistValue } {
  const [cipher] = encryption;
  const group = GROUPS[groups[0] ?? ""];
  return {
    EncryptionAlgorithm: cipher?.algorithm === "3des-cbc" ? "3DES" : `AES-${cipher?.keyBits}`,
    IntegrityAlgorithm: INTEGRITY[integrity[0] ?? ""] as string,
    ...(group === undefined ? {} : { DiffieHellmanGroup: group }),
  };
}

/** By which the device knows the CA above the gateway's certificate. */
function issuerName({ subject }: Certificate): string {
  const name = commonNameOf(subject);
  if (name !== undefined) return name;
  const field = "gateway.authorities[0]";
  throw fault("handover/bad-description", `${field}: no common name, by which the device knows it`, {
    field,
    value: subject.text,
  });
}

/** AuthenticationMethod and what goes with it: with None and ExtendedAuthEnabled it is EAP alone, EAP-TLS when there is a certificate. */
function authentication(d: Description): { readonly [key: string]: PlistValue } {
  const certificate: { [key: string]: PlistValue } = {};
  if (d.credential) {
    certificate.PayloadCertificateUUID = uuidFor(d, "apple/pkcs12");
    const type = CERTIFICATE_TYPE[d.credential.certificate.kind];
    if (type !== undefined) {
      certificate.CertificateType = type;
      certificate.ServerCertificateIssuerCommonName = issuerName(d.gateway.authorities[0] as Certificate);
    }
  }
  // The gateway finds the person by IDi, which the certificate has to prove: an empty local identity would be an address.
  if (d.authentication === "certificate") {
    return {
      AuthenticationMethod: "Certificate",
      ExtendedAuthEnabled: 0,
      LocalIdentifier: d.person.username,
      ...certificate,
    };
  }
  const eap = { AuthenticationMethod: "None", ExtendedAuthEnabled: 1, LocalIdentifier: d.person.username };
  return { ...eap, ...(d.authentication === "eap-tls" ? certificate : { AuthName: d.person.username }) };
}

/** The configuration profile of iOS, iPadOS and macOS, unsigned. One VPN payload, the CAs, the key. */
export function writeApple({ description: d, suites, slug, pkcs12 }: Order): Written {
  const payload = (part: string, type: string, name: string, more: { readonly [key: string]: PlistValue }) => ({
    PayloadType: type,
    PayloadVersion: 1,
    PayloadIdentifier: `${slug}.${part}`,
    PayloadUUID: uuidFor(d, `apple/${part}`),
    PayloadDisplayName: name,
    ...more,
  });
  const authorities = authoritiesOf(d).map((c, i) =>
    payload(
      `ca${i}`,
      c.fingerprint === rootOf(d).fingerprint ? "com.apple.security.root" : "com.apple.security.pkcs1",
      c.subject.text,
      { PayloadContent: c.der },
    ),
  );
  const key = pkcs12 ? [payload("pkcs12", "com.apple.security.pkcs12", d.person.name, { PayloadContent: pkcs12 })] : [];
  const { dns } = d;
  const vpn = payload("vpn", "com.apple.vpn.managed", d.name, {
    UserDefinedName: d.name,
    VPNType: "IKEv2",
    IKEv2: {
      RemoteAddress: d.gateway.address,
      RemoteIdentifier: d.gateway.identity.value,
      ...authentication(d),
      IKESecurityAssociationParameters: parameters(suites.ike[0]),
      ChildSecurityAssociationParameters: parameters(suites.esp[0]),
      EnablePFS: suites.esp[0].groups.length > 0 ? 1 : 0,
      DeadPeerDetectionRate: "Medium",
    },
    IPv4: { OverridePrimary: d.networks.length === 0 ? 1 : 0 },
    ...(d.networks.length === 0 && dns.length > 0 ? { DNS: { ServerAddresses: dns.map(String) } } : {}),
  });
  const profile = {
    PayloadType: "Configuration",
    PayloadVersion: 1,
    PayloadIdentifier: slug,
    PayloadUUID: uuidFor(d, "apple"),
    PayloadDisplayName: d.name,
    PayloadOrganization: d.organization,
    PayloadContent: [...authorities, ...key, vpn],
  };
  return { files: [textFile(`${slug}.mobileconfig`, MEDIA_TYPE, plist(profile))] };
}
