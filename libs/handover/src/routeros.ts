import type { Identity, Proposal } from "@sallyport/intent";
import { type Description, wantsPassword } from "./description.js";
import { routeros } from "./escape.js";
import { personIdentity } from "./identity.js";
import { authoritiesPem, type Order, textFile, type Written } from "./order.js";

const HASHES: Readonly<Record<string, string>> = {
  "hmac-sha1-96": "sha1",
  "hmac-sha2-256-128": "sha256",
  "hmac-sha2-512-256": "sha512",
};

function cipherOf({ encryption: [first] }: Proposal, mode: boolean): string {
  if (first?.algorithm === "3des-cbc") return "3des";
  const suffix = first?.algorithm === "aes-cbc" ? "cbc" : "gcm";
  return `aes-${first?.keyBits}${mode ? `-${suffix}` : ""}`;
}

const hashOf = ({ integrity: [first] }: Proposal) => (first === undefined ? "null" : (HASHES[first] as string));

/** An identity in the notation of my-id and remote-id. */
function identity(id: Identity): string {
  switch (id.type) {
    case "fqdn":
      return `fqdn:${id.value}`;
    case "email":
      return `user-fqdn:${id.value}`;
    case "address":
      return `address:${id.value}`;
    default:
      return `dn:${id.value}`;
  }
}

function authentication(d: Description): readonly string[] {
  const certificate = d.credential
    ? `certificate=[/certificate get [find fingerprint=${routeros(d.credential.certificate.fingerprint)}] name]`
    : 'certificate=""';
  if (d.authentication === "certificate") return ["auth-method=digital-signature", certificate];
  const eap = ["auth-method=eap", `eap-methods=${d.authentication}`, certificate];
  return wantsPassword(d.authentication)
    ? [...eap, `username=${routeros(d.person.username)}`, "password=$sallyportPassword"]
    : eap;
}

/** A script for `/import`, with the files that it imports itself and that have to be on the router before. */
export function writeRouterOs({ description: d, suites, slug, pkcs12 }: Order): Written {
  const [ike, esp] = [suites.ike[0], suites.esp[0]];
  const name = routeros(slug);
  const asked = [
    ...(pkcs12 ? ["sallyportPassphrase"] : []),
    ...(wantsPassword(d.authentication) ? ["sallyportPassword"] : []),
  ];
  const networks = d.networks.length > 0 ? d.networks.map(String) : ["0.0.0.0/0"];
  const files = [`${slug}-ca.pem`, ...(pkcs12 ? [`${slug}.p12`] : [])];
  const my = identity(personIdentity(d.person.username));
  const script = [
    ...asked.flatMap((variable) => [
      `:global ${variable}`,
      `:if ([:typeof $${variable}] = "nothing") do={ :error "set the global ${variable} before" }`,
    ]),
    `/certificate import file-name=${routeros(files[0] as string)} passphrase=""`,
    ...(pkcs12
      ? [`/certificate import file-name=${routeros(files[1] as string)} passphrase=$sallyportPassphrase`]
      : []),
    `/ip ipsec profile add name=${name} enc-algorithm=${cipherOf(ike, false)} hash-algorithm=${hashOf(ike)} dh-group=${ike.groups[0]}`,
    `/ip ipsec proposal add name=${name} enc-algorithms=${cipherOf(esp, true)} auth-algorithms=${hashOf(esp)} pfs-group=${esp.groups[0] ?? "none"}`,
    `/ip ipsec policy group add name=${name}`,
    ...networks.map(
      (n) => `/ip ipsec policy add template=yes group=${name} proposal=${name} src-address=0.0.0.0/0 dst-address=${n}`,
    ),
    `/ip ipsec mode-config add name=${name} responder=no`,
    `/ip ipsec peer add name=${name} comment=${routeros(d.name)} address=${routeros(d.gateway.address)} exchange-mode=ike2 profile=${name}`,
    [
      `/ip ipsec identity add peer=${name} my-id=${routeros(my)} remote-id=${routeros(identity(d.gateway.identity))}`,
      ...authentication(d),
      `mode-config=${name} generate-policy=port-strict policy-template-group=${name}`,
    ].join(" "),
    ...asked.map((variable) => `:set ${variable}`),
    "",
  ];
  return {
    files: [
      textFile(`${slug}.rsc`, "text/plain; charset=utf-8", script.join("\n")),
      textFile(files[0] as string, "application/x-pem-file", authoritiesPem(d)),
      ...(pkcs12 ? [{ name: `${slug}.p12`, mediaType: "application/x-pkcs12", content: pkcs12 }] : []),
    ],
  };
}
