import { IpAddress } from "@sallyport/base";
import fc from "fast-check";
import { OWN_CREDENTIAL } from "../testing/credential.js";
import { fleet, fleets, gateway, PARTNER } from "../testing/fleets.js";
import { compile, compileAll } from "./compile.js";
import { toIkeConfig } from "./engine-config.js";
import { ikeIdentity } from "./identity.js";
import type { LocalFacts } from "./local-facts.js";
import type { GatewayIntent } from "./model.js";

const HERE = IpAddress.parse("203.0.113.1");
const facts: LocalFacts = {
  credential: () => OWN_CREDENTIAL,
  resolved: new Map(),
  localAddress: () => HERE,
  ownNetworks: [],
  ownAddresses: [HERE, IpAddress.parse("10.1.0.1")],
  forcesEncapsulation: false,
};
const hq = compile(fleet({ externalPeers: [PARTNER], gateways: [gateway(0), gateway(1)] }), "gw-hq");
const only = (name: string) => ({ ...hq, connections: hq.connections.filter((c) => c.name === name) });

describe("toIkeConfig", () => {
  test("a PSK peer is called at its address and taken from nowhere else", () => {
    const { config, missing } = toIkeConfig(only("Partner"), { ...facts, forcesEncapsulation: true });
    expect(missing.size).toBe(0);
    expect(config.natPort).toBe(4500);
    const [peer] = config.peers;
    expect(peer).toMatchObject({
      id: hq.connections.find((c) => c.name === "Partner")?.id,
      passive: false,
      local: { port: 500 },
      forceEncapsulation: true,
      localAuth: [{ method: "psk", identity: { type: "fqdn", name: "gw-hq.acme.sallyport" } }],
      remoteAuth: [{ method: "psk", identity: { match: "is", identity: { type: "ipv4" } } }],
      lifetime: { soft: 14_400, hard: 15_840 },
    });
    expect(peer?.remote.accept.map(String)).toEqual(["198.51.100.7/32"]);
    expect(String(peer?.remote.endpoint?.address)).toBe("198.51.100.7");
    expect(peer?.children[0]).toMatchObject({
      startAction: "start",
      dpdAction: "restart",
      mode: "tunnel",
    });
    expect(peer?.children[0]?.proposals.map((p) => p.esn)).toEqual([[false], [false]]);
    expect(peer?.children[0]?.routeSources.map(String)).toEqual(["10.1.0.1"]);
    expect(peer?.children[0]?.local.map((r) => `${r.first}-${r.last}`)).toEqual(["10.1.0.0-10.1.255.255"]);
  });

  test("what an operator says of windows, renewal, volumes and padding reaches the engine", () => {
    const { connections } = only("Partner");
    const bare = toIkeConfig(only("Partner"), facts).config.peers[0];
    expect(bare).toMatchObject({ window: 4, authLifetime: 0, reauthentication: { after: 0 } });
    expect(bare?.children[0]).toMatchObject({ replayWindow: 128, tfc: 0, lifetime: { softPackets: 3_000_000_000n } });
    const told = connections.map((c) => ({
      ...c,
      window: 1,
      reauthentication: { seconds: 7_200 },
      authLifetimeSeconds: 3_600,
      children: c.children.map((x) => ({
        ...x,
        rekeyBytes: 1_000_000,
        rekeyPackets: 5_000,
        replayWindow: 512,
        tfcBytes: 1_000,
        pathMtu: 1_280,
        clampMss: false,
      })),
    }));
    const [peer] = toIkeConfig({ ...hq, connections: told }, facts).config.peers;
    expect(peer).toMatchObject({
      window: 1,
      reauthentication: { after: 7_200, mode: "make-before-break" },
      authLifetime: 3_600,
    });
    expect(peer?.children[0]).toMatchObject({
      replayWindow: 512,
      tfc: 1_000,
      pathMtu: 1_280,
      clampMss: false,
      lifetime: { softBytes: 1_000_000n, hardBytes: 1_100_000n, softPackets: 5_000n, hardPackets: 5_500n },
    });
  });

  test("a certificate peer is believed by the anchors of the intent, by the hash of their key", () => {
    const [peer] = toIkeConfig(only("branch"), facts).config.peers;
    const auth = peer?.remoteAuth[0];
    if (auth?.method !== "certificate") throw new Error("a certificate peer");
    expect(auth.trust.map((t) => [t.ref, t.keyHash.length])).toEqual([["root", 20]]);
    expect(peer?.remote.accept.map(String)).toEqual(["0.0.0.0/0", "::/0"]);
  });

  test("what the machine does not know yet is said, and the rest works", () => {
    const named = {
      ...hq,
      connections: hq.connections.map((c) => ({ ...c, remote: { ...c.remote, host: "vpn.example.org" } })),
    };
    const unresolved = toIkeConfig(named, facts);
    expect(unresolved.config.peers.map((p) => [p.passive, p.remote.endpoint])).toEqual([
      [true, undefined],
      [true, undefined],
    ]);
    expect([...unresolved.missing.values()].map((f) => [f.code, f.field])).toEqual([
      ["intent/missing-fact", "connections[0].remote.host"],
      ["intent/missing-fact", "connections[1].remote.host"],
    ]);
    const resolved = toIkeConfig(named, { ...facts, resolved: new Map([["vpn.example.org", HERE]]) });
    expect([resolved.missing.size, resolved.config.peers.some((p) => p.passive)]).toEqual([0, false]);

    const fresh = toIkeConfig(hq, { ...facts, credential: () => undefined });
    expect(fresh.config.peers.map((p) => p.name)).toEqual(["Partner"]);
    expect([...fresh.missing.keys()]).toEqual(hq.connections.filter((c) => c.name === "branch").map((c) => c.id));
    // Who calls now may be the branch, and asks again when it hears nothing.
    expect(fresh.config.undecided?.map(String)).toEqual(["0.0.0.0/0", "::/0"]);
    expect(resolved.config.undecided).toEqual([]);

    const cutOff = toIkeConfig(compile(fleet(), "gw-branch"), { ...facts, localAddress: () => undefined });
    expect([cutOff.config.peers.length, cutOff.missing.size]).toEqual([0, 1]);
  });

  test("the list of policies becomes priorities; what has no place in it stands where the list says, wherever that is", () => {
    const [first, second] = hq.connections.flatMap((c) => c.children.map((x) => x.id));
    const shunt = (id: string, action: "none" | "discard") =>
      ({ id, name: id, action, local: ["10.1.0.0/16"], remote: ["10.0.0.0/8[tcp/22]"] }) as const;
    const ordered = (policies: GatewayIntent["policies"]) => {
      const { peers, shunts = [] } = toIkeConfig({ ...hq, policies }, facts).config;
      const all = [...shunts, ...peers.flatMap((p) => p.children)].map((x) => [x.id, x.priority] as const);
      return all.sort((a, b) => a[1] - b[1]);
    };
    expect(ordered(undefined).map(([, p]) => p)).toEqual([2_000, 2_000]);
    expect(
      ordered([
        { action: "encrypt", child: second },
        shunt("ssh", "none"),
        { action: "encrypt" },
        shunt("rest", "discard"),
      ]),
    ).toEqual([
      [second, 1_980],
      ["ssh", 1_990],
      [first, 2_000],
      ["rest", 2_010],
    ]);
    expect(ordered([{ action: "encrypt" }, shunt("rest", "discard")])).toContainEqual([first, 2_000]);
    const [ssh] =
      toIkeConfig({ ...hq, policies: [shunt("ssh", "none"), { action: "encrypt" }] }, facts).config.shunts ?? [];
    expect(ssh).toMatchObject({ action: "none", remote: [{ protocol: 6, firstPort: 22, lastPort: 22 }] });
  });

  test("a tunnel can be bound to one address of the gateway, which it has to have", () => {
    const bound = (localAddress: string) => {
      const branch = only("branch");
      return toIkeConfig({ ...branch, connections: branch.connections.map((c) => ({ ...c, localAddress })) }, facts);
    };
    expect(bound("10.1.0.1").config.peers[0]?.local.address?.toString()).toBe("10.1.0.1");
    expect(bound("10.1.0.2").config.peers).toEqual([]);
    expect([...bound("10.1.0.2").missing.values()].map((f) => f.field)).toEqual(["connections[0].localAddress"]);
  });

  test("a peer may be taken from some prefixes only", () => {
    const partner = only("Partner");
    const connections = partner.connections.map((c) => ({ ...c, remote: { ...c.remote, from: ["198.51.100.0/24"] } }));
    const [peer] = toIkeConfig({ ...partner, connections }, facts).config.peers;
    expect(peer?.remote.accept.map(String)).toEqual(["198.51.100.0/24"]);
  });

  test("what a connection says about the network between the ends, and what is so without a word", () => {
    const partner = only("Partner");
    const plain = toIkeConfig(partner, facts).config.peers[0];
    expect(plain).toMatchObject({
      natKeepalive: 20,
      forceEncapsulation: false,
      fragmentation: true,
      fragmentSize: 1280,
    });
    expect(plain?.mobike).toEqual({ enabled: true, acceptFrom: [], checkRoutability: true, forbidNat: false });
    const connections = partner.connections.map((c) => ({
      ...c,
      mobike: { addresses: ["203.0.113.9"], acceptFrom: ["198.51.100.0/24"], checkRoutability: false },
      natKeepaliveSeconds: 5,
      forceEncapsulation: true,
      fragmentBytes: 0,
    }));
    const [said] = toIkeConfig({ ...partner, connections }, facts).config.peers;
    expect(said).toMatchObject({ natKeepalive: 5, forceEncapsulation: true, fragmentation: false });
    expect(said?.mobike).toMatchObject({ enabled: true, checkRoutability: false });
    expect(said?.mobike.addresses?.map(String)).toEqual(["203.0.113.9"]);
    expect(said?.mobike.acceptFrom.map(String)).toEqual(["198.51.100.0/24"]);
  });

  test("identities of every type", () => {
    expect(ikeIdentity({ type: "address", value: "2001:db8::1" })).toMatchObject({ type: "ipv6" });
    expect(ikeIdentity({ type: "email", value: "me@example.org" })).toEqual({ type: "email", name: "me@example.org" });
    expect(ikeIdentity({ type: "dn", value: "MAA=" })).toEqual({ type: "dn", data: Uint8Array.of(0x30, 0) });
    expect(ikeIdentity({ type: "key-id", value: "0x0102" })).toEqual({ type: "key-id", data: Uint8Array.of(1, 2) });
  });

  test("every compiled intent has one peer a connection, and its lifetimes nest", () => {
    fc.assert(
      fc.property(fleets, (model) => {
        for (const intent of compileAll(model).values()) {
          const { config, missing } = toIkeConfig(intent, facts);
          expect(missing.size).toBe(0);
          expect(config.peers.map((p) => p.id)).toEqual(intent.connections.map((c) => c.id));
          for (const { lifetime, children, passive, remote } of config.peers) {
            expect(passive || remote.endpoint !== undefined).toBe(true);
            for (const l of [lifetime, ...children.map((c) => c.lifetime)]) {
              expect(l.jitter < l.soft && l.soft < l.hard).toBe(true);
            }
          }
        }
      }),
      { numRuns: 30 },
    );
  });
});
