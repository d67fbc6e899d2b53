import { createPrivateKey } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { Prefix } from "@sallyport/base";
import { makeProfile } from "@sallyport/handover";
import {
  compile,
  type FleetModel,
  type GatewayIntent,
  mschapVerifier,
  type RemoteAccessModel,
} from "@sallyport/intent";
import { readCertificate } from "@sallyport/pki";
import type { Authority, Credential, PeerConnection, Topology } from "@sallyport/testkit";

/** A gateway whose intent the control plane's compiler has made, and two people who call it with strongSwan. */
export const NS = { gateway: "sp-ra-gateway", ann: "sp-ra-ann", guest: "sp-ra-guest" };
export const GATEWAY = "gw-hq.acme.sallyport";
export const PASSWORDS = { ann: "correct horse battery", guest: "staple the paper" } as const;
export type Person = keyof typeof PASSWORDS;
export const mailbox = (person: string) => `${person}@example.org`;

/** What is behind the gateway, on its loopback. */
export const BEHIND = { office: "10.1.0.1", guests: "10.1.7.1" };

export const TOPOLOGY: Topology = {
  namespaces: [
    { name: NS.gateway, loopback: [`${BEHIND.office}/32`, `${BEHIND.guests}/32`] },
    { name: NS.ann },
    { name: NS.guest },
  ],
  cables: [
    [
      { namespace: NS.gateway, device: "wan1", addresses: ["192.0.2.1/30"] },
      { namespace: NS.ann, device: "wan", addresses: ["192.0.2.2/30"] },
    ],
    [
      { namespace: NS.gateway, device: "wan2", addresses: ["192.0.2.5/30"] },
      { namespace: NS.guest, device: "wan", addresses: ["192.0.2.6/30"] },
    ],
  ],
};

/** Staff reaches all; guests reach one network, with a pool and a name server of their own; Ann has an address of hers. The gateway has the second of two shares. */
export function intentOf(
  authority: Authority,
  own: Credential,
  people: readonly Person[] = ["ann", "guest"],
  methods: RemoteAccessModel["methods"] = ["eap-mschapv2"],
): GatewayIntent {
  const model: FleetModel = {
    organization: { id: "org", slug: "acme", name: "Acme" },
    sites: [{ id: "hq", name: "Headquarters", subnets: ["10.1.0.0/16"] }],
    gateways: [
      {
        ...{ id: "gw-hq", name: "hq", siteId: "hq", fqdn: GATEWAY, host: "192.0.2.1" },
        certificate: { fingerprint: own.fingerprint, intermediates: [] },
      },
    ],
    networks: [],
    externalPeers: [],
    profiles: [],
    internalAnchorIds: ["root"],
    trustAnchors: [{ id: "root", name: "root", der: authority.der.toString("base64") }],
    preSharedKeys: [],
    pools: [
      { id: "people", name: "people", addresses: ["10.9.0.0/24"] },
      { id: "guests", name: "guests", addresses: ["10.8.0.0/24"] },
    ],
    roadWarriors: people.map((person) => ({
      id: person,
      username: mailbox(person),
      groupIds: [person === "ann" ? "staff" : "guests"],
      sessions: 1,
      verifier: mschapVerifier(PASSWORDS[person]),
      addresses: person === "ann" ? ["10.9.0.200"] : [],
    })),
    remoteAccess: [
      {
        ...{
          id: "staff",
          name: "Staff",
          gateways: [{ gatewayId: "gw-hq", share: 1 }],
          shares: 2,
          poolIds: ["people", "guests"],
        },
        ...{ methods, trustAnchorIds: ["root"], networks: ["10.1.0.0/16"], dns: ["10.1.0.53"] },
        ...{
          splitDns: [],
          people: [],
          groups: [
            { groupId: "staff", poolIds: ["people"] },
            { groupId: "guests", networks: ["10.1.7.0/24"], dns: ["10.1.7.53"], poolIds: ["guests"] },
          ],
        },
      },
    ],
  };
  return compile(model, "gw-hq", 1);
}

/** Ann's profile for swanctl, as the control plane hands it over, in a folder like /etc/swanctl. Gives the name of its connection. */
export async function handOver(
  folder: string,
  authority: Authority,
  { connections }: GatewayIntent,
  authentication: "certificate" | "eap-tls" | "certificate-and-eap-mschapv2",
  password?: string,
): Promise<string> {
  const [connection] = connections;
  const root = readCertificate(authority.der);
  const own = await authority.issue(mailbox("ann"), "ecdsa");
  const privateKey = Uint8Array.from(createPrivateKey(own.privateKey).export({ format: "der", type: "pkcs8" }));
  const passphrase = "abcde-fghjk-mnpqr-stuvw";
  const { files } = await makeProfile("swanctl", {
    ...{ id: "staff/ann", name: "Acme Staff", organization: "Acme", authentication },
    gateway: {
      ...{
        address: "192.0.2.1",
        identity: { type: "fqdn", value: GATEWAY },
        provesAddress: false,
        authorities: [root],
      },
    },
    proposals: { ike: connection?.ikeProposals ?? [], esp: connection?.children[0]?.espProposals ?? [] },
    ...{ networks: [Prefix.parse("10.1.0.0/16")], dns: [], domains: [] },
    person: { name: "Ann", username: mailbox("ann") },
    credential: { privateKey, certificate: readCertificate(own.der), above: [root], passphrase },
  });
  for (const { name, content } of files) {
    await mkdir(path.join(folder, path.dirname(name)), { recursive: true });
    await writeFile(path.join(folder, name), content);
  }
  const [conf] = await readdir(path.join(folder, "conf.d"));
  const text = await readFile(path.join(folder, "conf.d", conf as string), "utf8");
  // Whoever types the passphrase at swanctl's prompt has a terminal, which a test has not.
  await writeFile(
    path.join(folder, "swanctl.conf"),
    `${text.replace(/(file = ".*\.p12")/, `$1\n secret = "${passphrase}"`)}${password ? eapSecret(password) : ""}`,
  );
  return path.basename(conf as string, ".conf");
}

const eapSecret = (password: string) =>
  `secrets {\n eap-ann {\n id = "${mailbox("ann")}"\n secret = "${password}"\n }\n}\n`;

/** A device that asks for all of the office, whoever uses it. */
export const caller = (person: string, to: string, from: string): PeerConnection => ({
  name: "home",
  localAddress: from,
  remoteAddress: to,
  proposals: ["aes256-sha256-x25519"],
  vips: ["0.0.0.0"],
  local: { auth: "eap-mschapv2", id: mailbox(person), eapId: mailbox(person) },
  remote: { auth: "pubkey", id: GATEWAY },
  children: [{ name: "home-all", remoteTs: ["10.1.0.0/16"], proposals: ["aes256gcm16"] }],
});
