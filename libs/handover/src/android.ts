import { proposalText } from "@sallyport/intent";
import { type Description, rootOf } from "./description.js";
import { uuidFor } from "./fingerprint.js";
import { strongswanIdentity } from "./identity.js";
import { base64, type Order, textFile, type Written } from "./order.js";

const TYPES: Readonly<Record<Description["authentication"], string>> = {
  certificate: "ikev2-cert",
  "eap-tls": "ikev2-eap-tls",
  "eap-mschapv2": "ikev2-eap",
  "certificate-and-eap-mschapv2": "ikev2-cert-eap",
};

/** A profile of strongSwan's app for Android. */
export function writeAndroid({ description: d, suites, slug, pkcs12 }: Order): Written {
  const { gateway, person, networks, dns } = d;
  const profile = {
    uuid: uuidFor(d, "android"),
    name: d.name,
    type: TYPES[d.authentication],
    remote: { addr: gateway.address, id: strongswanIdentity(gateway.identity), cert: base64(rootOf(d).der) },
    local: {
      id: person.username,
      ...(d.authentication.includes("eap-mschapv2") ? { eap_id: person.username } : {}),
      ...(pkcs12 ? { p12: base64(pkcs12) } : {}),
    },
    "ike-proposal": proposalText(suites.ike[0]),
    "esp-proposal": proposalText(suites.esp[0]),
    ...(networks.length > 0 ? { "split-tunneling": { subnets: networks.map(String) } } : {}),
    ...(dns.length > 0 ? { "dns-servers": dns.map(String) } : {}),
  };
  const text = `${JSON.stringify(profile, undefined, 2)}\n`;
  return { files: [textFile(`${slug}.sswan`, "application/vnd.strongswan.profile", text)] };
}
