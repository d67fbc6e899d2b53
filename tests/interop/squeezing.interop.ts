import type { ConnectionIntent } from "@sallyport/intent";
import { type Authority, createAuthority, eventually, type PeerConnection, ping } from "@sallyport/testkit";
import { Lab } from "./daemons.js";
import { connectionIntent, gatewayIntent, Pair, peerConnection, type TunnelCase } from "./lab.js";
import { scenario } from "./scenario.js";
import {
  COMMON,
  iptables,
  NS,
  OURS,
  PUBLIC,
  readdress,
  run,
  SECRETS,
  THEIRS,
  TOPOLOGY,
  TWIN,
  translate,
} from "./squeezing-lab.js";

const lab = new Lab(TOPOLOGY);
lab.forEachTest();

let authority: Authority;
beforeAll(async () => {
  authority = await createAuthority("Needle root", "rsa");
}, 120_000);

interface Call {
  readonly initiator: "ours" | "theirs";
  /** Where each end has to call the other. */
  readonly at: { readonly ours: string; readonly theirs: string };
  readonly tunnel?: Partial<TunnelCase>;
  readonly intent?: Partial<ConnectionIntent>;
  readonly peer?: Partial<PeerConnection>;
  readonly settings?: Readonly<Record<string, string>>;
}

async function connect({ initiator, at, tunnel: more, intent: extra, peer, settings = {} }: Call) {
  const tunnel: TunnelCase = { ...COMMON, id: "needle", ...more };
  const certified = tunnel.auth === "certificate";
  const own = certified ? await authority.issue(OURS.name, "rsa") : undefined;
  const theirs = certified ? await authority.issue(THEIRS.name, "rsa") : undefined;
  const connection = {
    ...peerConnection(tunnel, theirs),
    localAddress: "%any",
    remoteAddress: initiator === "ours" ? "%any" : at.ours,
    ...peer,
  };
  const daemon = await lab.strongswan(NS.theirs, {
    secrets: SECRETS,
    settings,
    ...(theirs && { authorities: [authority.certificate], privateKeys: [theirs.privateKey] }),
    connections: [connection],
  });
  const base = connectionIntent(tunnel);
  const ports = { ike: 500, natt: 4500 };
  const remote = initiator === "ours" ? { host: at.theirs, ports } : { ports };
  const role = initiator === "ours" ? "both" : "responder";
  const intent = gatewayIntent(OURS.name, [tunnel], own && { own, authority });
  const agent = await lab.agent(NS.ours, {
    intent: { ...intent, connections: [{ ...base, role, remote, ...extra }] },
    ...(own && { credential: own }),
  });
  const pair = new Pair(agent, daemon, { ours: NS.ours, theirs: NS.theirs });
  await pair.up(tunnel, initiator);
  return { pair, tunnel, ends: await pair.both(tunnel) };
}

describe("through NATs", () => {
  scenario(
    { proves: 5, role: "initiator" },
    "a NAT before the responder alone",
    async () => {
      await translate("far", THEIRS.address);
      const { pair, tunnel, ends } = await connect({ initiator: "ours", at: { ours: "", theirs: PUBLIC.far } });
      expect(ends.ours.nat).toMatchObject({ local: false, remote: true });
      expect(ends.theirs).toMatchObject({ remoteHost: OURS.address, localHost: THEIRS.address });
      expect(ends.child.theirs.encapsulated).toBe(true);
      expect(await pair.ping(tunnel, 20)).toMatchObject({ sent: 20, received: 20 });
    },
    120_000,
  );

  scenario(
    { proves: 5, role: "responder" },
    "a NAT before us, whom the peer calls",
    async () => {
      await translate("near", OURS.address);
      const { pair, tunnel, ends } = await connect({ initiator: "theirs", at: { ours: PUBLIC.near, theirs: "" } });
      expect(ends.ours.nat).toMatchObject({ local: true });
      expect(ends.theirs.remoteHost).toBe(PUBLIC.near);
      expect(await pair.ping(tunnel, 20)).toMatchObject({ sent: 20, received: 20 });
    },
    120_000,
  );

  for (const initiator of ["ours", "theirs"] as const) {
    scenario(
      { proves: 5, role: initiator === "ours" ? "initiator" : "responder" },
      `a NAT before each end, ${initiator === "ours" ? "we call" : "the peer calls"}; rekeyed by both`,
      async () => {
        await Promise.all([translate("near", OURS.address), translate("far", THEIRS.address)]);
        const at = { ours: PUBLIC.near, theirs: PUBLIC.far };
        const { pair, tunnel, ends } = await connect({ initiator, at });
        expect(ends.ours.nat).toMatchObject({ local: true, remote: true });
        expect([String(ends.ours.remote.address), ends.theirs.remoteHost]).toEqual([PUBLIC.far, PUBLIC.near]);
        for (const by of ["ours", "theirs"] as const) {
          const before = await pair.both(tunnel);
          await pair.rekey(tunnel, "ike", by);
          await pair.settled(tunnel, ({ theirs }) => theirs.initiatorSpi !== before.theirs.initiatorSpi);
        }
        expect(await pair.ping(tunnel, 20)).toMatchObject({ sent: 20, received: 20 });
      },
      120_000,
    );
  }

  for (const mobike of [true, false]) {
    scenario(
      { proves: mobike ? [5, 21] : 5, role: "initiator" },
      `the mapping of the NAT before us changes, ${mobike ? "with" : "without"} MOBIKE`,
      async () => {
        await translate("near", OURS.address);
        const { pair, tunnel, ends } = await connect({
          initiator: "ours",
          at: { ours: "", theirs: THEIRS.address },
          intent: { dpd: { intervalSeconds: 1 }, mobike: { enabled: mobike } },
          peer: { mobike },
        });
        expect(ends.theirs.remoteHost).toBe(PUBLIC.near);
        await readdress("near", "192.0.2.11");
        const after = await pair.settled(tunnel, ({ theirs }) => theirs.remoteHost === "192.0.2.11");
        expect(after.ours.spiInitiator).toBe(ends.ours.spiInitiator);
        await eventually(
          "traffic passes",
          async () => (await pair.ping(tunnel, 3, { waitMs: 1_000 })).received === 3 || undefined,
        );
      },
      120_000,
    );
  }

  scenario(
    { proves: 5, role: "responder" },
    "the mapping of the NAT before the peer changes, and we follow",
    async () => {
      await translate("far", THEIRS.address);
      const { pair, tunnel, ends } = await connect({
        initiator: "theirs",
        at: { ours: OURS.address, theirs: "" },
        peer: { mobike: false, dpdSeconds: 1 },
      });
      expect(String(ends.ours.remote.address)).toBe(PUBLIC.far);
      await readdress("far", "192.0.2.22");
      const after = await pair.settled(tunnel, ({ ours }) => String(ours.remote.address) === "192.0.2.22");
      expect(after.ours.spiInitiator).toBe(ends.ours.spiInitiator);
      await eventually(
        "traffic passes",
        async () => (await pair.ping(tunnel, 3, { waitMs: 1_000 })).received === 3 || undefined,
      );
    },
    120_000,
  );

  for (const initiator of ["ours", "theirs"] as const) {
    scenario(
      { proves: 5, role: initiator === "ours" ? "initiator" : "responder" },
      `${initiator === "ours" ? "we begin" : "the peer begins"} on UDP 4500`,
      async () => {
        await translate("far", THEIRS.address);
        const ours = initiator === "ours";
        await iptables(NS.near, "-A", "FORWARD", "-p", "udp", "--dport", "500", "-j", "DROP");
        const { pair, tunnel } = await connect({
          initiator,
          at: { ours: OURS.address, theirs: PUBLIC.far },
          intent: ours ? { remote: { host: PUBLIC.far, ports: { ike: 4500, natt: 4500 } } } : {},
          peer: ours ? {} : { extra: { local_port: "4500", remote_port: "4500" } },
        });
        expect(await pair.ping(tunnel, 20)).toMatchObject({ sent: 20, received: 20 });
      },
      120_000,
    );
  }

  scenario(
    { proves: 5, role: "initiator" },
    "keepalives go out as often as the intent says",
    async () => {
      await translate("near", OURS.address);
      const one = ["-p", "udp", "--dport", "4500", "-m", "length", "--length", "29"];
      await iptables(NS.near, "-A", "FORWARD", ...one, "-j", "ACCEPT");
      await connect({
        initiator: "ours",
        at: { ours: "", theirs: THEIRS.address },
        intent: { natKeepaliveSeconds: 1 },
      });
      await eventually("three keepalives have passed the NAT", async () => {
        const rule = (await iptables(NS.near, "-nvxL", "FORWARD"))
          .split("\n")
          .find((line) => line.includes("length 29"));
        return Number(rule?.trim().split(/\s+/)[0]) >= 3 || undefined;
      });
    },
    120_000,
  );

  scenario(
    { proves: 5, role: "responder" },
    "two peers behind one NAT, each with its own tunnel",
    async () => {
      await iptables(NS.far, "-t", "nat", "-A", "POSTROUTING", "-o", "wan", "-j", "MASQUERADE");
      const tunnels: TunnelCase[] = [
        { ...COMMON, id: "first" },
        { ...COMMON, id: "second", theirs: TWIN },
      ];
      const connections = tunnels.map((tunnel) => ({
        ...connectionIntent(tunnel),
        role: "responder" as const,
        remote: { ports: { ike: 500, natt: 4500 } },
      }));
      const agent = await lab.agent(NS.ours, { intent: { ...gatewayIntent(OURS.name, tunnels), connections } });
      const pairs: { pair: Pair; tunnel: TunnelCase }[] = [];
      for (const tunnel of tunnels) {
        const namespace = tunnel.id === "first" ? NS.theirs : NS.twin;
        const daemon = await lab.strongswan(namespace, {
          secrets: SECRETS,
          connections: [{ ...peerConnection(tunnel), localAddress: "%any" }],
        });
        const pair = new Pair(agent, daemon, { ours: NS.ours, theirs: namespace });
        await pair.up(tunnel, "theirs");
        pairs.push({ pair, tunnel });
      }
      const seen = await Promise.all(pairs.map(({ pair, tunnel }) => pair.both(tunnel)));
      expect(seen.map(({ ours }) => String(ours.remote.address))).toEqual([PUBLIC.far, PUBLIC.far]);
      expect(seen[0]?.ours.remote.port).not.toBe(seen[1]?.ours.remote.port);
      for (const { pair, tunnel } of pairs) {
        expect(await pair.ping(tunnel, 20)).toMatchObject({ sent: 20, received: 20 });
      }
    },
    120_000,
  );
});

describe("fragmentation (RFC 7383)", () => {
  const AT = { ours: OURS.address, theirs: THEIRS.address };
  /** IKE_AUTH holds certificates of RSA keys: no message of it fits in 576 octets. */
  const LONG = { auth: "certificate", esp: ["aes256-sha256-ecp256"] } as const;
  const SUITES = { CBC: ["aes256-sha256-ecp256"], AEAD: ["aes256gcm16-prfsha384-ecp256"] };

  for (const [name, ike] of Object.entries(SUITES)) {
    for (const initiator of ["ours", "theirs"] as const) {
      scenario(
        { proves: 10, role: initiator === "ours" ? "initiator" : "responder" },
        `${name}, small fragments both ways, lost and doubled on the way, ${initiator === "ours" ? "we call" : "the peer calls"}`,
        async () => {
          const some = ["-p", "udp", "-m", "multiport", "--dports", "500,4500", "-m", "statistic", "--mode", "random"];
          for (const router of [NS.near, NS.far]) {
            const next = router === NS.near ? PUBLIC.far : PUBLIC.near;
            await iptables(router, "-A", "FORWARD", "-i", "lan", ...some, "--probability", "0.15", "-j", "DROP");
            const twice = ["-t", "mangle", "-A", "FORWARD", "-i", "lan", ...some, "--probability", "0.2"];
            await iptables(router, ...twice, "-j", "TEE", "--gateway", next);
          }
          const { pair, tunnel } = await connect({
            initiator,
            at: AT,
            tunnel: { ...LONG, ike },
            intent: { fragmentBytes: 576 },
            peer: { fragmentation: "yes" },
            settings: { fragment_size: "400", retransmit_timeout: "0.5", retransmit_base: "1.3" },
          });
          for (const router of [NS.near, NS.far]) {
            await iptables(router, "-F", "FORWARD");
            await iptables(router, "-t", "mangle", "-F", "FORWARD");
          }
          expect(await pair.ping(tunnel, 20)).toMatchObject({ sent: 20, received: 20 });
        },
        120_000,
      );
    }
  }

  scenario(
    { proves: 10, role: "initiator" },
    "a path that swallows packets above 700 octets: our request comes in smaller fragments",
    async () => {
      await iptables(NS.near, "-A", "FORWARD", "-p", "udp", "-m", "length", "--length", "701:65535", "-j", "DROP");
      const { pair, tunnel } = await connect({
        initiator: "ours",
        at: AT,
        tunnel: { ...LONG, ike: SUITES.AEAD },
        peer: { fragmentation: "yes" },
        settings: { fragment_size: "576" },
      });
      expect((await pair.agent.status()).counters["fragments-made-smaller"]).toBe(1);
      expect(await pair.ping(tunnel, 20)).toMatchObject({ sent: 20, received: 20 });
    },
    120_000,
  );

  scenario(
    { proves: 10, role: "responder" },
    "the same path, and it is our answer that is too long",
    async () => {
      await iptables(NS.near, "-A", "FORWARD", "-p", "udp", "-m", "length", "--length", "701:65535", "-j", "DROP");
      const { pair, tunnel } = await connect({
        initiator: "theirs",
        at: AT,
        tunnel: { ...LONG, ike: SUITES.AEAD },
        peer: { fragmentation: "yes" },
        settings: { fragment_size: "576", retransmit_timeout: "0.5", retransmit_base: "1.3" },
      });
      expect((await pair.agent.status()).counters["fragments-made-smaller"]).toBe(1);
      expect(await pair.ping(tunnel, 20)).toMatchObject({ sent: 20, received: 20 });
    },
    120_000,
  );
});

/** Only a link of our own is narrow here: on the way, routers tell (RFC 1191), which the compliance suite has. */
scenario(
  { proves: 1, role: "initiator" },
  "a narrow link: what may not be cut passes up to the length that fits, and no further",
  async () => {
    await run(NS.ours, "ip", "link", "set", "eth0", "mtu", "1300");
    const { tunnel } = await connect({ initiator: "ours", at: { ours: OURS.address, theirs: THEIRS.address } });
    const { ours, theirs } = tunnel;
    // 1,300 octets less 20 of IP, 8 of UDP, 8 of ESP, 8 of IV, 16 of ICV and 2 of the trailer: 1,238, of which 28 are ping's headers.
    const sized = (size: number) =>
      ping(NS.ours, theirs.host, { source: ours.host, count: 5, size, dontFragment: true, waitMs: 300 });
    expect(await sized(1_210)).toMatchObject({ received: 5 });
    expect(await sized(1_211)).toMatchObject({ received: 0 });
  },
  120_000,
);
