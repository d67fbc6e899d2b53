import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  type Agent,
  type Authority,
  type Credential,
  createAuthority,
  eventually,
  logged,
  markLogs,
  type PeerConnection,
  ping,
  type Strongswan,
} from "@sallyport/testkit";
import { Lab } from "./daemons.js";
import { BEHIND, caller, GATEWAY, handOver, intentOf, mailbox, NS, PASSWORDS, TOPOLOGY } from "./remote-access-lab.js";
import { scenario } from "./scenario.js";

let authority: Authority;
let own: Credential;
/** Of a machine of Ann's, which has a name of its own too. */
let machine: Credential;
let gateway: Agent;
let ann: Strongswan;
let guest: Strongswan;

const MACHINE = "laptop.example.org";
const lab = new Lab(TOPOLOGY);
const device = (
  namespace: string,
  person: string,
  password: string,
  to: string,
  from: string,
  ...more: readonly PeerConnection[]
) =>
  lab.strongswan(namespace, {
    plugins: ["eap-identity", "eap-mschapv2", "eap-tls"],
    authorities: [authority.certificate],
    secrets: [
      { type: "EAP", owners: [mailbox(person)], secret: password },
      { type: "EAP", owners: [mailbox("ann")], secret: PASSWORDS.ann },
    ],
    connections: [caller(person, to, from), ...more],
    ...(person === "guest" && { privateKeys: [machine.privateKey] }),
    // The guest's device is older than RFC 7427.
    settings: { install_virtual_ip: "yes", signature_authentication: person === "guest" ? "no" : "yes" },
  });

lab.forFile(async () => {
  authority = await createAuthority("Remote access lab", "rsa");
  own = await authority.issue(GATEWAY, "rsa");
  machine = await authority.issue([MACHINE, mailbox("ann")], "rsa");
  [ann, guest] = await Promise.all([
    device(NS.ann, "ann", PASSWORDS.ann, "192.0.2.1", "192.0.2.2"),
    device(NS.guest, "guest", PASSWORDS.guest, "192.0.2.5", "192.0.2.6", ...GREEDY, {
      ...GUEST,
      name: "machine",
      local: { auth: "pubkey", certificate: machine.certificate },
      children: [{ name: "machine-all", remoteTs: ["10.1.0.0/16"], proposals: ["aes256gcm16"] }],
    }),
  ]);
  gateway = await lab.agent(NS.gateway, { credential: own, intent: intentOf(authority, own) });
});

const GUEST = caller("guest", "192.0.2.5", "192.0.2.6");
/** The guest's device asks for an address of nobody's pool, for Ann's own, and for a second session in Ann's name. */
const GREEDY: readonly PeerConnection[] = [
  {
    ...GUEST,
    name: "elsewhere",
    vips: ["10.99.0.9"],
    children: [{ name: "elsewhere-all", remoteTs: ["10.1.0.0/16"], proposals: ["aes256gcm16"] }],
  },
  {
    ...GUEST,
    name: "hers",
    vips: ["10.9.0.200"],
    children: [{ name: "hers-all", remoteTs: ["10.1.0.0/16"], proposals: ["aes256gcm16"] }],
  },
  {
    ...caller("ann", "192.0.2.5", "192.0.2.6"),
    ...{ name: "second", unique: "never" },
    children: [{ name: "second-all", remoteTs: ["10.1.0.0/16"], proposals: ["aes256gcm16"] }],
  },
];

/** What a device's strongSwan has: its address, and what it reaches. */
async function has(peer: Strongswan) {
  const [sa] = await peer.listSas("home");
  return { vip: sa?.localVips[0] ?? "", reached: sa?.children.flatMap((c) => c.remoteTs) ?? [] };
}

async function connection() {
  const { peers } = await gateway.status();
  const [peer] = peers;
  if (!peer) throw new Error("the gateway serves nobody");
  return peer;
}

const users = async () =>
  (await connection()).sas
    .filter((sa) => sa.state === "established")
    .map((sa) => sa.user)
    .toSorted();

/** What the gateway has told a person with his address. */
async function told(person: string) {
  const sa = (await connection()).sas.find((one) => one.user === mailbox(person));
  return { dns: sa?.virtual?.dns.map(String), subnets: sa?.virtual?.subnets.map(String) };
}

const reaches = async (namespace: string, from: string, to: string) =>
  expect(await ping(namespace, to, { source: from, count: 3 })).toMatchObject({ sent: 3, received: 3 });

describe("remote access as the control plane compiles it", () => {
  scenario(
    { proves: [7, 8], role: "responder" },
    "lets people in by their passwords, of which it knows the hash; each reaches what the group may",
    async () => {
      await ann.initiate("home-all");
      await guest.initiate("home-all");
      expect(await users()).toEqual([mailbox("ann"), mailbox("guest")]);
      const [first, second] = [await has(ann), await has(guest)];
      expect(first).toEqual({ vip: "10.9.0.200", reached: ["10.1.0.0/16"] });
      // It asked for as much, and its address is of this gateway's share of the guests' pool.
      expect(second.reached).toEqual(["10.1.7.0/24"]);
      expect(second.vip).toMatch(/^10\.8\.0\./);
      expect(await told("guest")).toEqual({ dns: ["10.1.7.53"], subnets: ["10.1.7.0/24"] });
      expect(await told("ann")).toEqual({ dns: ["10.1.0.53"], subnets: ["10.1.0.0/16"] });
      expect(Number(second.vip.split(".")[3])).toBeGreaterThanOrEqual(128);
      await reaches(NS.ann, first.vip, BEHIND.office);
      await reaches(NS.ann, first.vip, BEHIND.guests);
      await reaches(NS.guest, second.vip, BEHIND.guests);
      expect(await ping(NS.guest, BEHIND.office, { source: second.vip, count: 2, waitMs: 1_000 })).toMatchObject({
        received: 0,
      });
    },
    120_000,
  );

  scenario(
    { proves: [7, 8, 14], role: "responder" },
    "refuses an address outside its share, one that is another's, and a session above the limit, and says whom",
    async () => {
      const says = (code: string, who: string) =>
        eventually(`the gateway says ${code}`, async () => {
          const lines = (await gateway.log()).split("\n");
          return lines.some((line) => line.includes(code) && line.includes(`"refused":"${mailbox(who)}"`)) || undefined;
        });
      for (const name of ["elsewhere", "hers"]) {
        await markLogs();
        await guest.terminate({ ike: "home" }).catch(() => undefined);
        await guest.initiate(`${name}-all`);
        const [sa] = await guest.listSas(name);
        expect(Number(sa?.localVips[0]?.split(".")[3])).toBeGreaterThanOrEqual(128);
        expect(sa?.localVips).not.toContain("10.9.0.200");
        await says("ike/address-outside-pool", "guest");
        await guest.terminate({ ike: name });
      }
      await expect(guest.initiate("second-all")).rejects.toThrow();
      await says("ike/too-many-sas", "ann");
      await reaches(NS.ann, "10.9.0.200", BEHIND.office);
      await guest.initiate("home-all");
    },
    120_000,
  );

  scenario(
    { proves: [8, 14], role: "responder" },
    "puts out who is no member any more, and refuses him from then on",
    async () => {
      await gateway.change({ intent: { ...intentOf(authority, own, ["ann"]), revision: 2 } });
      await eventually("the guest is out at both ends", async () => {
        const gone = (await guest.listSas("home")).length === 0;
        return gone && (await users()).join() === mailbox("ann") ? true : undefined;
      });
      await expect(guest.initiate("home-all")).rejects.toThrow();
      await logged(gateway, /ike\/eap-credentials.*no user .*guest@example\.org/);
      await reaches(NS.ann, "10.9.0.200", BEHIND.office);
    },
    120_000,
  );

  for (const [method, revision] of [
    ["certificate", 3],
    ["eap-tls", 4],
  ] as const) {
    scenario(
      { proves: [7], role: "responder" },
      `lets a person in by the very profile that is handed over, loaded by swanctl: ${method}`,
      async () => {
        const changed = { ...intentOf(authority, own, ["ann"], [method]), revision };
        await gateway.change({ intent: changed });
        await eventually("whoever came by another way is out", async () => {
          return (await ann.listSas()).length === 0 || undefined;
        });
        const folder = await mkdtemp(path.join(tmpdir(), "sallyport-swanctl-"));
        try {
          const name = await handOver(folder, authority, changed, method);
          await ann.swanctl(folder, "--load-all", "--noprompt", "--file", path.join(folder, "swanctl.conf"));
          await ann.swanctl(folder, "--initiate", "--ike", name, "--child", "net", "--timeout", "10");
          const established = (await connection()).sas.filter((sa) => sa.state === "established");
          expect(established.map((sa) => sa.remoteId)).toEqual([mailbox("ann")]);
          const [sa] = await ann.listSas(name);
          expect(sa).toMatchObject({ localVips: ["10.9.0.200"], remoteId: GATEWAY });
          expect(sa?.children.flatMap((c) => c.remoteTs)).toEqual(["10.1.0.0/16"]);
          await reaches(NS.ann, "10.9.0.200", BEHIND.office);
        } finally {
          await rm(folder, { recursive: true });
        }
      },
      120_000,
    );
  }

  scenario(
    { proves: [7, 8], role: "responder" },
    "lets a machine in that calls itself by its certificate's subject, as the person whom the certificate names (CLI-06)",
    async () => {
      await guest.terminate({ ike: "home" }).catch(() => undefined);
      await gateway.change({ intent: { ...intentOf(authority, own, ["ann"], ["certificate"]), revision: 5 } });
      await eventually("whoever came by another way is out", async () => (await users()).length === 0 || undefined);
      await guest.initiate("machine-all");
      const established = (await connection()).sas.filter((sa) => sa.state === "established");
      expect(established).toMatchObject([{ user: mailbox("ann"), remoteId: `CN=${MACHINE}` }]);
      const [sa] = await guest.listSas("machine");
      expect(sa).toMatchObject({ localVips: ["10.9.0.200"], localId: `CN=${MACHINE}` });
      expect(sa?.children.flatMap((c) => c.remoteTs)).toEqual(["10.1.0.0/16"]);
      await reaches(NS.guest, "10.9.0.200", BEHIND.office);
      await guest.terminate({ ike: "machine" });
    },
    40_000,
  );

  describe("by a certificate and then a password (RFC 4739)", () => {
    const wanted = { proves: [7, 8, 32], role: "responder" } as const;
    let folder: string;
    let revision = 6;
    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), "sallyport-swanctl-"));
    });
    afterAll(() => rm(folder, { recursive: true }));

    /** Tries by a profile for `authentication`, as it is handed over; gives the name of its connection. */
    async function tries(authentication: Parameters<typeof handOver>[3], password?: string): Promise<string> {
      await markLogs();
      const changed = {
        ...intentOf(authority, own, ["ann", "guest"], ["certificate-and-eap-mschapv2"]),
        revision: ++revision,
      };
      await gateway.change({ intent: changed });
      await eventually("nobody is there", async () => (await ann.listSas()).length === 0 || undefined);
      const name = await handOver(folder, authority, changed, authentication, password);
      const file = path.join(folder, "swanctl.conf");
      await ann.swanctl(folder, "--load-all", "--clear", "--noprompt", "--file", file);
      await ann.swanctl(folder, "--initiate", "--ike", name, "--child", "net", "--timeout", "10");
      return name;
    }
    const says = (code: string) =>
      eventually(`the gateway says ${code}`, async () => {
        const lines = (await gateway.log()).split("\n");
        return lines.findLast((line) => line.includes('"refused":'))?.includes(`"${code}"`) || undefined;
      });

    scenario(
      wanted,
      "a person who has only one of them stays out: another's password, a certificate alone, a password alone",
      async () => {
        await expect(tries("certificate-and-eap-mschapv2", "not hers")).rejects.toThrow();
        await says("ike/eap-credentials");
        await expect(tries("certificate")).rejects.toThrow();
        await says("ike/authentication-failed");
        await markLogs();
        await expect(guest.initiate("home-all")).rejects.toThrow();
        await says("ike/authentication-failed");
        expect(await users()).toEqual([]);
      },
      120_000,
    );

    scenario(
      wanted,
      "whoever has both gets in by the very profile that is handed over",
      async () => {
        const name = await tries("certificate-and-eap-mschapv2", PASSWORDS.ann);
        expect(await users()).toEqual([mailbox("ann")]);
        const [sa] = await ann.listSas(name);
        expect(sa).toMatchObject({ localVips: ["10.9.0.200"], remoteId: GATEWAY });
        await reaches(NS.ann, "10.9.0.200", BEHIND.office);
      },
      120_000,
    );
  });
});
