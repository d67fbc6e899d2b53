import { proposalText } from "@sallyport/intent";
import { toPem } from "@sallyport/pki";
import { authoritiesOf, type Description } from "./description.js";
import { strongswan } from "./escape.js";
import { personIdentity, strongswanIdentity } from "./identity.js";
import { type Order, textFile, type Written } from "./order.js";

type Section = { readonly [key: string]: string | Section };

function lines(section: Section, indent = ""): string[] {
  return Object.entries(section).flatMap(([key, value]) =>
    typeof value === "string"
      ? [`${indent}${key} = ${strongswan(value)}`]
      : [`${indent}${key} {`, ...lines(value, `${indent}  `), `${indent}}`],
  );
}

function rounds({ authentication, person }: Description): Section {
  const id = strongswanIdentity(personIdentity(person.username));
  const eap = { auth: "eap-mschapv2", eap_id: person.username };
  switch (authentication) {
    case "certificate":
      return { local: { auth: "pubkey", id } };
    case "eap-tls":
      return { local: { auth: "eap-tls", id, eap_id: person.username } };
    case "eap-mschapv2":
      return { local: { ...eap, id } };
    case "certificate-and-eap-mschapv2":
      return { "local-1": { round: "1", auth: "pubkey", id }, "local-2": { round: "2", ...eap } };
  }
}

/** A connection for swanctl's conf.d, with the files that it names in the folders where swanctl looks for them. */
export function writeSwanctl({ description: d, suites, slug, pkcs12 }: Order): Written {
  const conf: Section = {
    connections: {
      [slug]: {
        version: "2",
        remote_addrs: d.gateway.address,
        vips: "0.0.0.0, ::",
        proposals: suites.ike.map(proposalText).join(", "),
        ...rounds(d),
        remote: { auth: "pubkey", id: strongswanIdentity(d.gateway.identity) },
        children: {
          net: {
            remote_ts: d.networks.length > 0 ? d.networks.join(", ") : "0.0.0.0/0, ::/0",
            esp_proposals: suites.esp.map(proposalText).join(", "),
          },
        },
      },
    },
    // Without a secret swanctl asks for the passphrase.
    ...(pkcs12 ? { secrets: { [`pkcs12-${slug}`]: { file: `${slug}.p12` } } } : {}),
  };
  return {
    files: [
      textFile(`conf.d/${slug}.conf`, "text/plain; charset=utf-8", `${lines(conf).join("\n")}\n`),
      // swanctl reads the first certificate of a file.
      ...authoritiesOf(d).map((c, i) =>
        textFile(`x509ca/${slug}-${i}.pem`, "application/x-pem-file", toPem("CERTIFICATE", c.der)),
      ),
      ...(pkcs12 ? [{ name: `pkcs12/${slug}.p12`, mediaType: "application/x-pkcs12", content: pkcs12 }] : []),
    ],
  };
}
