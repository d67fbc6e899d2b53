import { IpAddress, Prefix } from "@sallyport/base";
import {
  CFG,
  CFG_ATTRIBUTE,
  type ConfigAttribute,
  EAP_CODE,
  EXCHANGE,
  type Payload,
  type PeerConfig,
  PROTOCOL,
} from "@sallyport/ike";
import { ADDRESSES, childOf, configOf, peerOf, range } from "./configs.js";
import { SeededRng } from "./rng.js";
import { ESP_OFFER } from "./scripted-peer.js";
import type { ScriptedResponder } from "./scripted-responder.js";
import { type Request, ScriptedServer } from "./scripted-server.js";
import { SimKeys, trusting } from "./sim-keys.js";
import { Simulation } from "./simulation.js";
import { SECRET, spiBytes } from "./stage.spec-helper.js";

const utf8 = new TextEncoder();
const A = { type: "fqdn", name: "a.example" } as const;
const B = { type: "fqdn", name: "b.example" } as const;

/** A client `a` whose gateway answers as it likes. */
function client(
  more: Partial<PeerConfig>,
  answer: (request: Request, responder: ScriptedResponder) => readonly Payload[] | undefined,
) {
  const keys = new SimKeys();
  const sim = new Simulation(1, keys);
  const a = sim.addPeer("a", ADDRESSES.a);
  const server = new ScriptedServer(sim, new SeededRng(9), ADDRESSES.b, answer);
  a.addresses = [...a.addresses, IpAddress.parse("192.168.7.7")];
  a.networkChanged();
  a.configure(configOf(peerOf("a", more)));
  sim.run(1);
  return { sim, a, server };
}

const last = (text: string) => Prefix.parse(text).last;
const first = (text: string) => Prefix.parse(text).first;
const ts = (kind: "TSi" | "TSr", ...prefixes: string[]): Payload => ({
  kind,
  selectors: prefixes.map((p) => ({
    kind: "range",
    protocol: 0,
    startPort: 0,
    endPort: 65_535,
    start: first(p),
    end: last(p),
  })),
});
const sa = (): Payload => ({
  kind: "SA",
  proposals: [{ number: 1, protocol: PROTOCOL.ESP, spi: spiBytes(0x2000), transforms: ESP_OFFER }],
});
const given = (...attributes: ConfigAttribute[]): Payload => ({ kind: "CP", cfgType: CFG.REPLY, attributes });
const octets = (...bytes: number[]) => Uint8Array.from(bytes);
const address = (text: string): ConfigAttribute => ({
  type: CFG_ATTRIBUTE.INTERNAL_IP4_ADDRESS,
  value: IpAddress.parse(text).bytes,
});

describe("a client and a server that has not proved itself (hostile input 19)", () => {
  const eap = { methods: ["gtc", "md5", "mschapv2"], identity: "alice", password: utf8.encode("wonderland") } as const;
  const WANTS_CERTIFICATE: Partial<PeerConfig> = {
    localAuth: [{ method: "eap", identity: A, eap }],
    remoteAuth: [trusting(B, "root")],
  };
  const request = (type: number): Payload => ({
    kind: "EAP",
    code: EAP_CODE.REQUEST,
    identifier: 1,
    data: octets(type, 0x3f),
  });

  test.each([
    ["asks by EAP at once", () => [{ kind: "IDr", idType: 2, data: utf8.encode("b.example") }, request(1)]],
    ["asks for the password at once, and names nobody", () => [request(6)]],
    [
      "shows a proof by a key that was not asked for",
      (s: ScriptedResponder) => [...s.proof("b.example", SECRET), request(6)],
    ],
  ] as [string, (s: ScriptedResponder) => Payload[]][])("that %s hears no name and no password", (_, payloads) => {
    const { a, server } = client(WANTS_CERTIFICATE, ({ header }, s) =>
      header.exchange === EXCHANGE.IKE_AUTH ? payloads(s) : undefined,
    );
    expect(server.requests.length).toBeGreaterThan(0);
    expect(server.requests.flatMap((r) => r.payloads.filter((p) => p.kind === "EAP"))).toEqual([]);
    expect(a.established()).toEqual([]);
  });

  test("that proves itself by EAP alone, with a method that proves nothing, is not believed", () => {
    const alone: Partial<PeerConfig> = {
      localAuth: [{ method: "eap", identity: A, eap }],
      remoteAuth: [{ method: "eap", identity: { match: "is", identity: B } }],
    };
    const { a, server } = client(alone, ({ header, payloads }) => {
      if (header.exchange !== EXCHANGE.IKE_AUTH) return undefined;
      const nak = payloads.find((p) => p.kind === "EAP")?.data[0] === 3;
      const idr: Payload = { kind: "IDr", idType: 2, data: utf8.encode("b.example") };
      if (nak) return [{ kind: "EAP", code: EAP_CODE.SUCCESS, identifier: 1, data: octets() }];
      return header.messageId === 1 ? [idr, request(6)] : [request(6)];
    });
    const said = server.requests.flatMap((r) => r.payloads.flatMap((p) => (p.kind === "EAP" ? [...p.data] : [])));
    expect(Buffer.from(said).includes("wonderland")).toBe(false);
    expect(a.established()).toEqual([]);
  });
});

test("a server that calls itself by another name is not believed, whatever it can prove (hostile input 8)", () => {
  const { a, server } = client({}, ({ header }, s) =>
    header.exchange === EXCHANGE.IKE_AUTH ? s.proof("c.example", SECRET) : undefined,
  );
  expect(a.of("auth-failed")[0]?.error).toMatchObject({ code: "ike/identity-mismatch", theirs: "c.example" });
  expect([a.established(), a.dataPlane.sas.size]).toEqual([[], 0]);
  expect(server.requests.length).toBeGreaterThan(0);
});

describe("a proven server that wants more than it may have (hostile input 28)", () => {
  const REQUEST: Partial<PeerConfig> = {
    request: { families: [4], dns: true, hides: [] },
    children: [childOf("a", { local: [], remote: [range("10.2.0.0/16")], routes: true })],
  };
  const pushing = (...payloads: Payload[]) =>
    client(REQUEST, ({ header }, s) =>
      header.exchange === EXCHANGE.IKE_AUTH ? [...s.proof("b.example", SECRET), ...payloads] : [],
    );
  const child = (remote: string) => [sa(), ts("TSi", "10.9.0.7/32"), ts("TSr", remote)];

  test("gets what the client asks for", () => {
    const { a } = pushing(given(address("10.9.0.7")), ...child("10.2.0.0/16"));
    expect([...a.dataPlane.routes.keys()]).toEqual(["10.2.0.0/16"]);
    expect(a.established()[0]?.children).toHaveLength(1);
  });

  test.each(["0.0.0.0/0", "0.0.0.0/1", "10.0.0.0/8", "192.168.0.0/16"])(
    "selectors of its answer that say %s make no CHILD SA and no route",
    (remote) => {
      const { a } = pushing(given(address("10.9.0.7")), ...child(remote));
      expect([...a.dataPlane.routes.keys()]).toEqual([]);
      expect(a.dataPlane.sas.size).toBe(0);
      expect(a.of("negotiation-failed")[0]?.error.code).toBe("ike/ts-unacceptable");
    },
  );

  test("networks that it names become no routes (CVE-2024-3661)", () => {
    const subnet = (...value: number[]) => ({ type: CFG_ATTRIBUTE.INTERNAL_IP4_SUBNET, value: octets(...value) });
    const pushed = [
      subnet(0, 0, 0, 0, 128, 0, 0, 0),
      subnet(128, 0, 0, 0, 128, 0, 0, 0),
      subnet(10, 2, 9, 0, 255, 255, 255, 0),
    ];
    const { a } = pushing(given(address("10.9.0.7"), ...pushed), ...child("10.2.0.0/16"));
    expect(a.established()[0]?.virtual?.subnets.map(String)).toEqual(["0.0.0.0/1", "128.0.0.0/1", "10.2.9.0/24"]);
    expect([...a.dataPlane.routes.keys()]).toEqual(["10.2.0.0/16"]);
    expect([...a.dataPlane.policies.values()].map((p) => p.selector.destination.toString())).not.toContain("0.0.0.0/1");
  });

  test.each([ADDRESSES.a, ADDRESSES.b, "192.168.7.7"])(
    "the address %s, which is somebody's already, is not taken",
    (text) => {
      const { a } = pushing(given(address(text)), sa(), ts("TSi", `${text}/32`), ts("TSr", "10.2.0.0/16"));
      expect(a.dataPlane.log).not.toContain("installAddress");
      expect(a.dataPlane.log).not.toContain("removeAddress");
      expect(a.of("negotiation-failed")[0]?.error.code).toBe("ike/no-address");
    },
  );

  test.each(["127.0.0.1", "0.0.0.1", "224.0.0.5", "255.255.255.255"])("the address %s is not taken", (text) => {
    const { a } = pushing(given(address(text)), sa(), ts("TSi", `${text}/32`), ts("TSr", "10.2.0.0/16"));
    expect([...a.dataPlane.addresses]).toEqual([]);
    expect(a.of("negotiation-failed")[0]?.error.code).toBe("ike/no-address");
  });

  test("names of domains that a shell or a terminal could trip over are passed over (hostile input 26)", () => {
    const domain = (text: string) => ({ type: CFG_ATTRIBUTE.INTERNAL_DNS_DOMAIN, value: utf8.encode(text) });
    const hostile = ["$(reboot)", "a b", "x\u001b[2J", "-".repeat(64), "corp.example", "a\nsearch evil.example"];
    const { a } = pushing(given(address("10.9.0.7"), ...hostile.map(domain)), ...child("10.2.0.0/16"));
    expect(a.established()[0]?.virtual?.domains).toEqual(["corp.example"]);
  });

  test("more name servers, domains and networks than anybody has are not kept", () => {
    const many = Array.from({ length: 100 }, (_, i) => ({
      type: CFG_ATTRIBUTE.INTERNAL_IP4_DNS,
      value: octets(10, 2, 0, i + 1),
    }));
    const { a } = pushing(given(address("10.9.0.7"), ...many), ...child("10.2.0.0/16"));
    expect(a.established()[0]?.virtual?.dns).toHaveLength(64);
  });
});
