import { Buffer } from "node:buffer";
import { createPrivateKey } from "node:crypto";
import type { Family } from "@sallyport/base";
import { proposalText } from "@sallyport/intent";
import { toPem } from "@sallyport/pki";
import { type ClientCredential, type Description, rootOf } from "./description.js";
import { keyfile, shell } from "./escape.js";
import { uuidFor } from "./fingerprint.js";
import { personIdentity, strongswanIdentity } from "./identity.js";
import { type Order, textFile, type Written } from "./order.js";

const METHODS: Readonly<Record<Description["authentication"], string>> = {
  certificate: "cert",
  "eap-tls": "eap-tls",
  "eap-mschapv2": "eap",
  "certificate-and-eap-mschapv2": "",
};

type Group = Readonly<Record<string, string>>;

const groupText = ([name, values]: [string, Group]) =>
  [`[${name}]`, ...Object.entries(values).map(([key, value]) => `${key}=${keyfile(value)}`)].join("\n");

/** PKCS#8 under the passphrase, PEM. */
function encryptedKey({ privateKey, passphrase }: ClientCredential): string {
  const key = createPrivateKey({ key: Buffer.from(privateKey), format: "der", type: "pkcs8" });
  return key.export({ format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase }) as string;
}

/** Lists end in a semicolon each; the words themselves have none. */
const list = (words: readonly string[]) => words.map((w) => `${w};`).join("");

function addressing(d: Description, family: Family): Group {
  const dns = d.dns.filter((server) => server.family === family);
  return {
    method: "auto",
    ...(d.networks.length > 0 ? { "never-default": "true" } : {}),
    ...(dns.length > 0 ? { dns: list(dns.map(String)) } : {}),
    ...(d.domains.length > 0 ? { "dns-search": list(d.domains.map((domain) => `~${domain}`)) } : {}),
  };
}

/** A shell script that root runs: it writes the connection for NetworkManager's strongSwan plugin and the files that it names. */
export function writeNetworkManager({ description: d, suites, slug }: Order): Written {
  const folder = `/etc/sallyport/${slug}`;
  const { credential } = d;
  const certificate = credential
    ? {
        data: { "cert-source": "file", usercert: `${folder}/cert.pem`, userkey: `${folder}/key.pem` },
        files: [
          [`${folder}/cert.pem`, toPem("CERTIFICATE", credential.certificate.der)],
          [`${folder}/key.pem`, encryptedKey(credential)],
        ] as const,
      }
    : { data: { user: d.person.username }, files: [] };
  const connection = Object.entries<Group>({
    connection: { id: d.name, uuid: uuidFor(d, "network-manager"), type: "vpn" },
    vpn: {
      "service-type": "org.freedesktop.NetworkManager.strongswan",
      address: d.gateway.address,
      certificate: `${folder}/ca.pem`,
      "remote-identity": strongswanIdentity(d.gateway.identity),
      "local-identity": strongswanIdentity(personIdentity(d.person.username)),
      method: METHODS[d.authentication],
      ...certificate.data,
      // Whoever logs in is asked, and the answer stays with him.
      "password-flags": "1",
      virtual: "yes",
      proposal: "yes",
      ike: suites.ike.map(proposalText).join(";"),
      esp: suites.esp.map(proposalText).join(";"),
      ...(d.networks.length > 0 ? { "remote-ts": d.networks.join(";") } : {}),
    },
    ipv4: addressing(d, 4),
    ipv6: addressing(d, 6),
  });
  const path = `/etc/NetworkManager/system-connections/${slug}.nmconnection`;
  const files: readonly (readonly [string, string])[] = [
    [`${folder}/ca.pem`, toPem("CERTIFICATE", rootOf(d).der)],
    ...certificate.files,
    [path, `${connection.map(groupText).join("\n\n")}\n`],
  ];
  const script = [
    "#!/bin/sh",
    "set -eu",
    "umask 077",
    `mkdir -p ${shell(folder)}`,
    ...files.map(([at, text]) => `printf %s ${shell(Buffer.from(text).toString("base64"))} | base64 -d > ${shell(at)}`),
    `nmcli connection load ${shell(path)}`,
    "",
  ];
  return { files: [textFile(`${slug}.sh`, "text/x-shellscript; charset=utf-8", script.join("\n"))] };
}
