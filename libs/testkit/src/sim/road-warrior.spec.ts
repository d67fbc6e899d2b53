import { Prefix } from "@sallyport/base";
import { CFG, CFG_ATTRIBUTE, EXCHANGE, type Payload } from "@sallyport/ike";
import { ADDRESSES, childOf, configOf, range } from "./configs.js";
import { gateway, ip, lab, leased, person, SECRET, text, virtual } from "./road-warrior.spec-helper.js";
import { ESP_OFFER, ScriptedPeer } from "./scripted-peer.js";
import type { SimPeer } from "./sim-peer.js";

describe("road warriors", () => {
  it("get an address of each family, name servers and networks; their selectors are their addresses", () => {
    const { sim, b, join } = lab();
    const a = join("ann@example.org", "203.0.113.1");
    sim.run(3);
    const given = virtual(a);
    expect(text(given?.local)).toEqual([expect.stringMatching(/^10\.9\.0\./), expect.stringMatching(/^2001:db8:9::/)]);
    expect(given).toMatchObject({ domains: ["corp.example"], remote: [] });
    expect(text(given?.dns)).toEqual(["10.2.0.53", "2001:db8:2::53"]);
    expect(text(given?.subnets)).toEqual(["10.2.0.0/16"]);
    expect(text(virtual(b)?.remote)).toEqual(text(given?.local));
    const [child] = a.established()[0]?.children ?? [];
    expect(text(child?.local.map((r) => r.first))).toEqual(text(given?.local));
    expect([...a.dataPlane.addresses]).toEqual(text(given?.local));
    expect(text([...a.dataPlane.routes.values()].map((r) => r.source ?? "none"))).toEqual(text(given?.local));
    expect([...b.dataPlane.routes.keys()]).toEqual([`${given?.local[0]}/32`, `${given?.local[1]}/128`]);
    expect(b.engine.lessee(given?.local[0] ?? ip("0.0.0.0"))?.virtual.domains).toEqual(["corp.example"]);
  });

  it("live side by side, each with SAs and policies of its own", () => {
    const { sim, b, join } = lab();
    const people = Array.from({ length: 12 }, (_, n) => join(`p${n}@example.org`, `203.0.113.${n + 1}`));
    sim.run(5);
    const given = people.map((a) => text(virtual(a)?.local)[0]);
    expect(new Set(given).size).toBe(12);
    expect(leased(b)).toBe(12);
    const reqids = b.established().flatMap((sa) => sa.children.map((c) => c.reqid));
    expect(new Set(reqids).size).toBe(12);
    const out = [...b.dataPlane.policies.values()].filter((p) => p.direction === "out");
    for (const [n, a] of people.entries()) {
      const policy = out.find((p) => p.selector.destination.toString() === `${given[n]}/32`);
      expect(policy?.template?.level).toBe("unique");
      expect(policy?.template?.destination.toString()).toBe(`203.0.113.${n + 1}`);
      const sa = b.dataPlane.sending(policy?.template?.reqid ?? 0);
      expect(a.dataPlane.inbound().map((s) => s.spi)).toContain(sa?.spi);
    }
    people[0]?.command({ command: "terminate", peer: "b" });
    sim.run(20);
    expect(leased(b)).toBe(11);
    expect(people[0]?.dataPlane.addresses.size).toBe(0);
    expect(people[0]?.dataPlane.routes.size).toBe(0);
    expect([...b.dataPlane.routes.keys()]).not.toContain(`${given[0]}/32`);
  });

  it("get the same address again, from the gateway that forgot all as well", () => {
    const { sim, b, join } = lab();
    const people = Array.from({ length: 8 }, (_, n) => join(`p${n}@example.org`, `203.0.113.${n + 1}`));
    sim.run(3);
    const before = people.map((a) => text(virtual(a)?.local));
    b.crash();
    b.dataPlane.sas.clear();
    b.configure(gateway());
    sim.run(200);
    expect(people.map((a) => text(virtual(a)?.local))).toEqual(before);
    for (const a of people) expect(a.of("ike-down").length).toBeGreaterThan(0);
  });

  it("keep their address over rekeys of both kinds, whoever begins", () => {
    const { sim, b, join } = lab();
    const a = join("ann@example.org", "203.0.113.1");
    sim.run(3);
    const before = text(virtual(a)?.local);
    for (const [who, peer] of [[a, "b"] as const, [b, "people"] as const]) {
      who.command({ command: "rekey-ike", peer });
      sim.run(15);
      who.command({ command: "rekey-child", peer, child: "net" });
      sim.run(15);
      expect([text(virtual(a)?.local), text(virtual(b)?.remote)]).toEqual([before, before]);
      expect([...a.dataPlane.addresses]).toEqual(before);
    }
    sim.run(80);
    expect(a.of("child-rekeyed")).toHaveLength(2);
    expect(a.of("ike-rekeyed")).toHaveLength(2);
    expect([leased(b), b.established().length, a.dataPlane.routes.size]).toEqual([1, 1, 2]);
  });

  it("take their own lease over when they come back before the gateway noticed that they went", () => {
    const { sim, b, join } = lab();
    const a = join("ann@example.org", "203.0.113.1");
    sim.run(3);
    const before = text(virtual(a)?.local);
    a.crash();
    a.dataPlane.sas.clear();
    a.configure(person("ann@example.org", "203.0.113.1"));
    sim.run(20);
    expect(text(virtual(a)?.local)).toEqual(before);
    expect([leased(b), b.established().length]).toEqual([1, 1]);
    expect([...b.dataPlane.routes.keys()]).toEqual(before.map((x) => `${x}/${x.includes(":") ? 128 : 32}`));
  });

  it("with one identity on two devices get an address each where the gateway keeps both", () => {
    const { sim, b, join } = lab(gateway({}, { uniqueness: "keep" }));
    const [one, two] = ["203.0.113.1", "203.0.113.2"].map((at) =>
      join("ann@example.org", at, { initialContact: false }),
    ) as [SimPeer, SimPeer];
    sim.run(4);
    expect(text(virtual(one)?.local)).not.toEqual(text(virtual(two)?.local));
    expect(leased(b)).toBe(2);
  });

  it("beyond the last address are refused in words, disturb nobody, and get in when one is free", () => {
    const { sim, b, join } = lab(gateway({ last: "10.9.0.2", mode: { pools: ["four"] } }));
    const [one, two] = [join("p1@example.org", "203.0.113.1"), join("p2@example.org", "203.0.113.2")];
    sim.run(3);
    const three = join("p3@example.org", "203.0.113.3");
    sim.run(30);
    expect([one, two, three].map((p) => text(virtual(p)?.local).length)).toEqual([1, 1, 0]);
    expect(b.peer("people")?.lastError).toMatchObject({
      code: "ike/no-address",
      ours: "pool four",
      theirs: "an IPv4 address, an IPv6 address",
    });
    expect(three.peer("b")?.childErrors.net).toMatchObject({ code: "ike/no-address" });
    expect(three.of("ike-up").length).toBeLessThan(8);
    one.command({ command: "terminate", peer: "b" });
    sim.run(120);
    expect(text(virtual(three)?.local)).toHaveLength(1);
    expect(text(virtual(two)?.local)).toHaveLength(1);
  });

  it("must ask for an address where one is required", () => {
    const { sim, b } = lab();
    const a = sim.addPeer("ann", "203.0.113.1");
    const config = person("ann@example.org", "203.0.113.1");
    a.configure({ ...config, peers: config.peers.map(({ request: _, ...peer }) => peer) });
    sim.run(3);
    expect(a.peer("b")?.childErrors.net).toMatchObject({ code: "ike/address-required" });
    expect(b.peer("people")?.lastError).toMatchObject({
      code: "ike/address-required",
      theirs: "no request for an address",
    });
    expect(a.established()[0]?.children).toEqual([]);
  });

  it("get what is theirs alone where the gateway says so", () => {
    const ann = { identity: { type: "email", name: "ann@example.org" }, addresses: [ip("10.9.0.7")] } as const;
    const { sim, join } = lab(gateway({ mode: { users: [{ ...ann, domains: ["ann.example"], pools: [] }] } }));
    const [a, c] = [join("ann@example.org", "203.0.113.1"), join("bob@example.org", "203.0.113.2")];
    sim.run(3);
    expect(text(virtual(a)?.local)).toEqual(["10.9.0.7"]);
    expect(virtual(a)?.domains).toEqual(["ann.example"]);
    expect(virtual(c)?.domains).toEqual(["corp.example"]);
  });

  it("hide networks behind the address that they were given, as long as they have it", () => {
    const { sim, join } = lab();
    const request = { families: [4, 6], dns: false, hides: [Prefix.parse("10.4.0.0/16")] } as const;
    const a = join("ann@example.org", "203.0.113.1", { request });
    const held = "10.4.0.0/16 > 10.2.0.0/16 held back";
    expect([...a.dataPlane.nats]).toEqual([held]);
    sim.run(3);
    const wanted = [held, `10.4.0.0/16 > 10.2.0.0/16 as ${virtual(a)?.local[0]}`];
    expect([...a.dataPlane.nats]).toEqual(wanted);
    a.command({ command: "rekey-ike", peer: "b" });
    a.command({ command: "rekey-child", peer: "b", child: "net" });
    sim.run(20);
    expect([...a.dataPlane.nats]).toEqual(wanted);
    a.command({ command: "terminate", peer: "b" });
    sim.run(20);
    expect([...a.dataPlane.nats]).toEqual([held]);
    expect(a.engine.sizes().held).toBe(1);
    a.command({ command: "shutdown" });
    sim.run(1);
    expect([a.dataPlane.nats.size, a.engine.sizes().held]).toEqual([0, 0]);
  });

  it("hold no network back for a child that nothing starts", () => {
    const { sim, join } = lab();
    const request = { families: [4, 6], dns: false, hides: [Prefix.parse("10.4.0.0/16")] } as const;
    const children = [
      childOf("a", { local: [], remote: [range("10.2.0.0/16")], startAction: "none", dpdAction: "clear" }),
    ];
    const a = join("ann@example.org", "203.0.113.1", { request, children });
    sim.run(3);
    expect([...a.dataPlane.nats]).toEqual([]);
    a.command({ command: "initiate", peer: "b", child: "net" });
    sim.run(3);
    expect([...a.dataPlane.nats]).toEqual([`10.4.0.0/16 > 10.2.0.0/16 as ${virtual(a)?.local[0]}`]);
  });

  it("take the addresses of an earlier run over, and away what is not theirs any more", () => {
    const { sim, join } = lab();
    const a = join("ann@example.org", "203.0.113.1");
    sim.run(3);
    const before = text(virtual(a)?.local);
    const left = [...(virtual(a)?.local ?? []), ip("10.9.0.99")].map((address) => ({
      address,
      prefixLength: address.family === 4 ? 32 : 128,
    }));
    a.crash();
    a.dataPlane.addresses.add("10.9.0.99");
    a.handle({ on: "adopt", now: sim.now, sas: a.dataPlane.listSas(), policies: [], addresses: left });
    expect(text(a.engine.virtualAddresses())).toEqual([...before, "10.9.0.99"]);
    a.configure(person("ann@example.org", "203.0.113.1"));
    expect(a.dataPlane.addresses.size).toBe(3);
    sim.run(20);
    expect([...a.dataPlane.addresses]).toEqual(before);
    a.crash();
    a.handle({ on: "adopt", now: sim.now, sas: [], policies: [], addresses: left });
    a.configure(configOf());
    expect(a.dataPlane.addresses.size).toBe(0);
  });

  it("keep their addresses when the pools become others under them", () => {
    const { sim, b, join } = lab();
    const a = join("ann@example.org", "203.0.113.1");
    sim.run(3);
    const before = text(virtual(a)?.local);
    b.configure({ ...gateway(), pools: [{ id: "four", ranges: [{ first: ip("10.8.0.1"), last: ip("10.8.0.9") }] }] });
    const c = join("bob@example.org", "203.0.113.2");
    sim.run(3);
    expect(text(virtual(a)?.local)).toEqual(before);
    expect(text(virtual(c)?.local)).toEqual([expect.stringMatching(/^10\.8\.0\./)]);
    expect(a.of("ike-down")).toEqual([]);
  });

  it.each([1, 2, 3, 4, 5, 6])("come to the same end on a bad network (seed %i)", (seed) => {
    const { sim, b, join } = lab(gateway(), seed);
    sim.faults({ loss: 0.3, duplication: 0.2, delay: 5, jitter: 400 });
    const people = Array.from({ length: 4 }, (_, n) => join(`p${n}@example.org`, `203.0.113.${n + 1}`));
    sim.run(60);
    const before = people.map((a) => text(virtual(a)?.local));
    for (const a of people) {
      a.command({ command: "rekey-ike", peer: "b" });
      a.command({ command: "rekey-child", peer: "b", child: "net" });
    }
    sim.run(200);
    sim.faults({ loss: 0, duplication: 0 });
    sim.run(200);
    expect(people.map((a) => text(virtual(a)?.local))).toEqual(before);
    expect(before.every((list) => list.length === 2)).toBe(true);
    expect([leased(b), b.established().length]).toEqual([4, 4]);
    for (const [n, a] of people.entries()) expect([...a.dataPlane.addresses]).toEqual(before[n]);
    expect([b, ...people].flatMap((p) => p.of("internal-error"))).toEqual([]);
  });
});

describe("configuration payloads of anybody", () => {
  const TS = { kind: "range", protocol: 0, startPort: 0, endPort: 65_535 } as const;
  const any = { ...TS, start: ip("0.0.0.0"), end: ip("255.255.255.255") };
  const wish = (type: number) => ({ type, value: new Uint8Array(0) });
  const child = (spi: number): Payload[] => [
    { kind: "SA", proposals: [{ number: 1, protocol: 3, spi: Uint8Array.of(9, 9, 9, spi), transforms: ESP_OFFER }] },
    { kind: "TSi", selectors: [any] },
    { kind: "TSr", selectors: [any] },
  ];

  function scripted() {
    const { sim, b } = lab();
    const from = { address: ip("203.0.113.9"), port: 500 };
    const inbox: Uint8Array[] = [];
    sim.network.taps.push((packet) => {
      if (packet.to.address.equals(from.address)) inbox.push(packet.datagram);
      return packet;
    });
    const peer = new ScriptedPeer(7n, sim.rng, (datagram) => {
      inbox.length = 0;
      b.receive({ address: ip(ADDRESSES.b), port: 500 }, from, datagram);
      return [...inbox];
    });
    peer.init();
    return { sim, b, peer };
  }

  it("are answered in IKE_AUTH before the CHILD SA, in a rekey, and on their own", () => {
    const { b, peer } = scripted();
    const request = {
      kind: "CP",
      cfgType: CFG.REQUEST,
      attributes: [
        wish(CFG_ATTRIBUTE.INTERNAL_IP4_ADDRESS),
        wish(CFG_ATTRIBUTE.SUPPORTED_ATTRIBUTES),
        wish(CFG_ATTRIBUTE.APPLICATION_VERSION),
        wish(99),
      ],
    } as const;
    const answer = peer.ask(EXCHANGE.IKE_AUTH, peer.authPayloads("someone", SECRET, [request, ...child(1)]));
    expect(answer?.payloads.map((p) => p.kind)).toEqual(["IDr", "AUTH", "CP", "SA", "TSi", "TSr"]);
    const given = answer?.payloads.find((p) => p.kind === "CP");
    const types = given?.attributes.map((a) => a.type);
    expect(types).toEqual(expect.arrayContaining([1, 3, 10, 13, 14]));
    expect(types).not.toContain(CFG_ATTRIBUTE.APPLICATION_VERSION);
    expect(types).not.toContain(CFG_ATTRIBUTE.INTERNAL_DNS_DOMAIN);
    const address = given?.attributes.find((a) => a.type === 1)?.value;
    const nonce = { kind: "Nonce", data: new Uint8Array(32) } as const;
    const again = peer.ask(EXCHANGE.CREATE_CHILD_SA, [request, nonce, ...child(2)]);
    expect(again?.payloads.find((p) => p.kind === "CP")?.attributes.find((a) => a.type === 1)?.value).toEqual(address);
    const alone = peer.ask(EXCHANGE.INFORMATIONAL, [request]);
    expect(alone?.payloads.find((p) => p.kind === "CP")?.attributes.find((a) => a.type === 1)?.value).toEqual(address);
    const set = peer.ask(EXCHANGE.INFORMATIONAL, [{ ...request, cfgType: CFG.SET }]);
    expect(set?.payloads).toEqual([{ kind: "CP", cfgType: CFG.ACK, attributes: [] }]);
    expect(leased(b)).toBe(1);
  });
});
