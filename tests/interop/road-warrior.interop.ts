import path from "node:path";
import { text } from "node:stream/consumers";
import {
  type Agent,
  eventually,
  logged,
  type PeerConnection,
  ping,
  type Strongswan,
  spawnIn,
} from "@sallyport/testkit";
import { Lab } from "./daemons.js";
import {
  BEHIND,
  BEHIND_OFFICE,
  CALLER,
  caller,
  ESP,
  gateway,
  IKE,
  intent,
  NS,
  PEOPLE,
  PSK,
  TOPOLOGY,
} from "./road-warrior-lab.js";
import { scenario } from "./scenario.js";

let served: Agent;
let asking: Agent;
let one: Strongswan;
let two: Strongswan;
let office: Strongswan;

const lab = new Lab(TOPOLOGY);
const person = (namespace: string, connection: PeerConnection) =>
  lab.strongswan(namespace, {
    secrets: [{ owners: [], secret: PSK }],
    connections: [connection],
    settings: { install_virtual_ip: "yes" },
  });

lab.forFile(async () => {
  [one, two, office] = await Promise.all([
    person(NS.one, caller("one", "192.0.2.1", "192.0.2.2")),
    person(NS.two, caller("two", "192.0.2.5", "192.0.2.6")),
    lab.strongswan(NS.office, {
      secrets: [{ owners: [], secret: PSK }],
      pools: [
        { name: "callers", addresses: "10.8.0.0/28", dns: ["10.3.0.53"], subnets: ["10.3.0.0/16"] },
        { name: "callers6", addresses: "2001:db8:8::/120", dns: ["2001:db8:3::53"] },
      ],
      connections: [
        {
          name: "callers",
          localAddress: "192.0.2.9",
          remoteAddress: "%any",
          proposals: IKE,
          pools: ["callers", "callers6"],
          local: { auth: "psk", id: "office.test" },
          remote: { auth: "psk" },
          children: [{ name: "callers-net", localTs: ["10.3.0.0/16", "2001:db8:3::/48"], proposals: ESP }],
        },
      ],
    }),
  ]);
  // One after the other: a guest has one slow processor.
  served = await lab.agent(NS.gateway, { intent: gateway() });
  asking = await lab.agent(NS.caller, { intent: intent("caller.test", CALLER) });
});

/** IPv4 and IPv6 address that a caller's strongSwan has, once it is up. */
async function vipsOf(peer: Strongswan): Promise<readonly [string, string]> {
  const [sa] = await peer.listSas("home");
  const four = sa?.localVips.find((a) => !a.includes(":"));
  const six = sa?.localVips.find((a) => a.includes(":"));
  if (!four || !six) throw new Error(`strongSwan has ${JSON.stringify(sa?.localVips)}`);
  return [four, six];
}

/** Our view of the IKE SAs of the connection, each with its caller's addresses. */
async function callers(): Promise<Record<string, readonly string[]>> {
  const { sas } = await served.peer("people");
  return Object.fromEntries(
    sas.filter((sa) => sa.state === "established").map((sa) => [sa.remoteId, sa.virtual?.remote.map(String) ?? []]),
  );
}

const reaches = async (namespace: string, from: string, to: string) =>
  expect(await ping(namespace, to, { source: from, count: 5 })).toMatchObject({ sent: 5, received: 5 });

describe("we give addresses", () => {
  scenario(
    { proves: 7, role: "responder" },
    "to two callers at once, of both families",
    async () => {
      await Promise.all([one.initiate("home-all"), two.initiate("home-all")]);
      const [first, second] = [await vipsOf(one), await vipsOf(two)];
      expect(first[0]).toMatch(/^10\.9\.0\./);
      expect(second[0]).toBe("10.9.0.77");
      expect(new Set([...first, ...second]).size).toBe(4);
      expect(await callers()).toEqual({ "one@example.org": first, "two@example.org": second });
      for (const [peer, vips] of [
        [one, first],
        [two, second],
      ] as const) {
        const [sa] = await peer.listSas("home");
        expect(sa?.children[0]?.localTs).toEqual([`${vips[0]}/32`, `${vips[1]}/128`]);
        await logged(peer, /installing DNS server|processing INTERNAL_IP4_DNS attribute/);
      }
      for (const [namespace, vips] of [
        [NS.one, first],
        [NS.two, second],
      ] as const) {
        await reaches(namespace, vips[0], BEHIND.four);
        await reaches(namespace, vips[1], BEHIND.six);
        await reaches(NS.gateway, BEHIND.four, vips[0]);
      }
      const { pools } = await served.status();
      expect(pools).toMatchObject([
        { pool: "four", size: 254, taken: 2 },
        { pool: "six", taken: 2 },
      ]);
    },
    120_000,
  );

  scenario(
    { proves: [7, 3, 4], role: "responder" },
    "that stay over rekeys of both kinds",
    async () => {
      const before = await vipsOf(one);
      const [sa] = await one.listSas("home");
      await one.rekeyChild("home-all");
      await one.rekeyIke("home");
      await eventually("the IKE SA is another", async () => {
        const [now, ...more] = await one.listSas("home");
        return now && more.length === 0 && now.initiatorSpi !== sa?.initiatorSpi ? true : undefined;
      });
      expect(await vipsOf(one)).toEqual(before);
      await eventually("so it is here", async () => {
        const now = await callers();
        return now["one@example.org"]?.join() === before.join() && Object.keys(now).length === 2 ? true : undefined;
      });
      await reaches(NS.one, before[0], BEHIND.four);
      await reaches(NS.two, "10.9.0.77", BEHIND.four);
    },
    120_000,
  );

  scenario(
    { proves: [7, 22], role: "responder" },
    "that a caller finds again after it left, and after it came anew",
    async () => {
      const before = await vipsOf(one);
      await one.terminate({ ike: "home" });
      await eventually("it is gone here", async () => ("one@example.org" in (await callers()) ? undefined : true));
      await one.initiate("home-all");
      expect(await vipsOf(one)).toEqual(before);
      await one.reauthenticate("home");
      await eventually("it has authenticated anew", async () => {
        const sas = await one.listSas("home");
        return sas.length === 1 && sas[0]?.state === "ESTABLISHED" && sas[0].children.length === 1 ? true : undefined;
      });
      expect(await vipsOf(one)).toEqual(before);
      await reaches(NS.one, before[0], BEHIND.four);
    },
    120_000,
  );

  scenario(
    { proves: [7, 14], role: "responder" },
    "until none is left, which is said in words and disturbs nobody",
    async () => {
      await served.stop();
      const few = gateway("10.9.0.1-10.9.0.1");
      const connections = few.connections.map((c) => ({ ...c, modeConfig: { poolIds: ["four"] } }));
      served = await lab.agent(NS.gateway, { intent: { ...few, connections } });
      await one.terminate({ ike: "home" }, { force: true }).catch(() => undefined);
      await two.terminate({ ike: "home" }, { force: true }).catch(() => undefined);
      const only = (name: string, to: string, from: string) => ({ ...caller(name, to, from), vips: ["0.0.0.0"] });
      await one.load({ connections: [only("one", "192.0.2.1", "192.0.2.2")] });
      await two.load({ connections: [only("two", "192.0.2.5", "192.0.2.6")] });
      await one.initiate("home-all");
      await expect(two.initiate("home-all")).rejects.toThrow();
      await logged(two, /INT_ADDR_FAIL/);
      expect((await served.peer("people")).lastError).toMatchObject({
        code: "ike/no-address",
        ours: "pool four",
        theirs: "an IPv4 address",
      });
      await reaches(NS.one, "10.9.0.1", BEHIND.four);
      await one.terminate({ ike: "home" });
      await two.terminate({ ike: "home" }, { force: true }).catch(() => undefined);
      await two.initiate("home-all");
      await reaches(NS.two, "10.9.0.1", BEHIND.four);
    },
    120_000,
  );
});

/** Options of a DHCP message, given as hexadecimal digits, by code. */
function dhcpOptions(message: string): Record<number, string> {
  const data = Buffer.from(message, "hex");
  const out: Record<number, string> = {};
  for (let at = 240; at + 1 < data.length && data[at] !== 255; at += 2 + (data[at + 1] ?? 0)) {
    out[data[at] ?? 0] = data.subarray(at + 2, at + 2 + (data[at + 1] ?? 0)).toString("hex");
  }
  return out;
}

async function inform(namespace: string, ...args: string[]): Promise<string[]> {
  const script = path.join(import.meta.dirname, "dhcp-inform-main.ts");
  const run = spawnIn(namespace, process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  return (await text(run.stdout as NodeJS.ReadableStream)).trim().split("\n");
}

describe("we tell networks by DHCP", () => {
  scenario(
    { proves: 7, role: "responder" },
    "to callers who ask for them, as Windows does, and to nobody else",
    async () => {
      await served.stop();
      const people = { ...PEOPLE, modeConfig: { ...PEOPLE.modeConfig, poolIds: ["four"], splitDns: ["corp.example"] } };
      const all = { ...gateway(), connections: [people] };
      served = await lab.agent(NS.gateway, { intent: all });
      const everything = { ...caller("one", "192.0.2.1", "192.0.2.2"), vips: ["0.0.0.0"] };
      // Not 0.0.0.0/0, in which this peer's userspace ESP would catch its own datagrams.
      const children = [{ name: "home-all", remoteTs: ["10.2.0.0/16", "255.255.255.255/32"], proposals: ESP }];
      await one.terminate({ ike: "home" }, { force: true }).catch(() => undefined);
      await one.load({ connections: [{ ...everything, children }] });
      await one.initiate("home-all");
      const vip = (await one.listSas("home"))[0]?.localVips[0] ?? "";
      const before = (await one.listSas("home"))[0]?.children[0]?.packetsOut ?? 0;
      const answers = await inform(NS.one, vip, "255.255.255.255", BEHIND.four);
      for (const answer of answers) {
        const options = dhcpOptions(answer);
        // 10.2.0.0/16 on the link itself, RFC 3442.
        expect(options[249]).toBe("100a0200000000");
        expect(options[121]).toBe(options[249]);
        expect(options[6]).toBe("0a020035");
        expect(Buffer.from(options[15] ?? "", "hex").toString()).toBe("corp.example");
      }
      expect(answers).toHaveLength(2);
      expect((await one.listSas("home"))[0]?.children[0]?.packetsOut).toBe(before + 2);
      // In clear, from an address that nobody was given.
      expect(await inform(NS.two, "192.0.2.6", "192.0.2.5")).toEqual(["none"]);
    },
    120_000,
  );
});

describe("we ask for addresses", () => {
  scenario(
    { proves: 7, role: "initiator" },
    "and get them, with name servers and networks",
    async () => {
      await asking.ask("up", { tunnel: "office", child: "office-net" });
      const { virtual } = await asking.established("office");
      const [theirs] = await office.listSas("callers");
      const local = virtual?.local.map(String) ?? [];
      expect(local).toEqual([expect.stringMatching(/^10\.8\.0\./), expect.stringMatching(/^2001:db8:8::/)]);
      expect([...(theirs?.remoteVips ?? [])].sort()).toEqual([...local].sort());
      expect(theirs?.children[0]?.remoteTs).toEqual([`${local[0]}/32`, `${local[1]}/128`]);
      expect(virtual?.dns.map(String)).toEqual(["10.3.0.53", "2001:db8:3::53"]);
      expect(virtual?.subnets.map(String)).toEqual(["10.3.0.0/16"]);
      // A network behind us goes along with the address (source NAT).
      expect(await ping(NS.caller, BEHIND_OFFICE.four, { source: "10.4.0.1", count: 5 })).toMatchObject({
        received: 5,
      });
      // No source is named: the route has to bring the address along.
      for (const to of [BEHIND_OFFICE.four, BEHIND_OFFICE.six]) {
        expect(await ping(NS.caller, to, { count: 5 })).toMatchObject({ sent: 5, received: 5 });
      }
      expect(theirs?.children[0]?.mode).toBe("TUNNEL");
    },
    120_000,
  );

  scenario(
    { proves: [7, 3, 4], role: "initiator" },
    "that stay over rekeys and go with the IKE SA",
    async () => {
      const before = (await asking.established("office")).virtual?.local.map(String);
      await asking.ask("rekey", { tunnel: "office", child: "office-net" });
      await asking.ask("rekey", { tunnel: "office" });
      await eventually("the far end has one IKE SA", async () => {
        const sas = await office.listSas("callers");
        return sas.length === 1 && sas[0]?.remoteVips.length === 2 ? true : undefined;
      });
      expect((await asking.established("office")).virtual?.local.map(String)).toEqual(before);
      expect(await ping(NS.caller, BEHIND_OFFICE.four, { count: 5 })).toMatchObject({ received: 5 });
      await asking.ask("down", { tunnel: "office" });
      await eventually("its address is gone", async () => {
        const result = await ping(NS.caller, before?.[0] ?? "", { count: 1, waitMs: 200 }).catch(() => undefined);
        return result?.received ? undefined : true;
      });
    },
    120_000,
  );
});
