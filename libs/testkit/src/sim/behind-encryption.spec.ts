import { EXCHANGE, NOTIFY, NOTIFY_DATA, notification, type Payload, PROTOCOL } from "@sallyport/ike";
import fc from "fast-check";
import { IKE_OFFER, type Reply } from "./scripted-peer.js";
import { childPayloads, deletion, nonce, SECRET, spiBytes, stage, stageUp } from "./stage.spec-helper.js";

const { IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL } = EXCHANGE;
const notifies = (reply: Reply | undefined) => reply?.payloads.flatMap((p) => (p.kind === "N" ? [p.type] : [])) ?? [];

describe("before authentication, with the right keys (hostile input 15, 16)", () => {
  test.each([
    ["CREATE_CHILD_SA", CREATE_CHILD_SA, () => [...childPayloads(0x3000, [nonce()])]],
    ["INFORMATIONAL", INFORMATIONAL, () => []],
    ["a Delete", INFORMATIONAL, () => [deletion(0x2000)]],
    ["IKE_INTERMEDIATE", 43, () => []],
    ["a private exchange", 240, () => []],
  ] as const)("%s is dropped and counted", (_, exchange, payloads) => {
    const { b, peer } = stage();
    expect(peer.ask(exchange, payloads())).toBeUndefined();
    expect(b.count("illegal-transition")).toBe(1);
    expect(b.dataPlane.sas.size).toBe(0);
    peer.mid = 1;
    peer.ask(IKE_AUTH, peer.authPayloads("a.example", SECRET, childPayloads(0x2000)));
    expect(b.established()).toHaveLength(1);
  });

  test("a wrong AUTH gets AUTHENTICATION_FAILED and no second try", () => {
    const { b, peer } = stage();
    const wrong = peer.authPayloads("a.example", Uint8Array.of(1), childPayloads(0x2000));
    expect(notifies(peer.ask(IKE_AUTH, wrong))).toEqual([NOTIFY.AUTHENTICATION_FAILED]);
    const right = peer.authPayloads("a.example", SECRET, childPayloads(0x2000));
    expect(peer.ask(IKE_AUTH, right)).toBeUndefined();
    expect(b.established()).toEqual([]);
  });

  test.each([
    ["no IDi", (p: Payload[]) => p.filter((x) => x.kind !== "IDi")],
    ["two IDi", (p: Payload[]) => [...p.slice(0, 1), ...p]],
    ["no AUTH", (p: Payload[]) => p.filter((x) => x.kind !== "AUTH")],
    ["SA without TS", (p: Payload[]) => p.filter((x) => x.kind !== "TSi" && x.kind !== "TSr")],
    ["a KE too many", (p: Payload[]): Payload[] => [...p, { kind: "KE", group: 31, data: new Uint8Array(32) }]],
  ] as const)("IKE_AUTH with %s authenticates nobody", (_, bend) => {
    const { b, peer } = stage();
    const payloads = bend(peer.authPayloads("a.example", SECRET, childPayloads(0x2000)));
    const reply = peer.ask(IKE_AUTH, payloads);
    expect(notifies(reply)[0]).toBeDefined();
    expect(b.established()).toEqual([]);
    expect(b.dataPlane.sas.size).toBe(0);
  });

  test.each([12, 13])(
    "a certificate to be fetched (encoding %i) is refused, and fetched from nowhere (hostile input 13)",
    (encoding) => {
      const { b, peer } = stage();
      const url: Payload = {
        kind: "CERT",
        encoding,
        data: new TextEncoder().encode(`${"x".repeat(20)}http://evil.example/`),
      };
      const [idi, auth, ...rest] = peer.authPayloads("a.example", SECRET, childPayloads(0x2000));
      const signed: Payload = { kind: "AUTH", method: 14, data: (auth as Extract<Payload, { kind: "AUTH" }>).data };
      const reply = peer.ask(IKE_AUTH, [idi as Payload, url, signed, ...rest]);
      expect(reply?.payloads).toEqual([notification("AUTHENTICATION_FAILED")]);
      expect(b.of("auth-failed")[0]?.error).toMatchObject({ code: "ike/hash-and-url", ours: "X509_SIGNATURE" });
    },
  );

  test("IKE_AUTH without a CHILD SA stands alone", () => {
    const { b, peer } = stage();
    peer.ask(IKE_AUTH, peer.authPayloads("a.example", SECRET, []));
    expect(b.established()).toHaveLength(1);
    expect(b.dataPlane.sas.size).toBe(0);
  });
});

describe("after authentication (hostile input 17)", () => {
  test("a second IKE_AUTH is dropped", () => {
    const { b, peer } = stageUp();
    expect(peer.ask(IKE_AUTH, peer.authPayloads("a.example", SECRET, childPayloads(0x2001)))).toBeUndefined();
    expect(b.count("illegal-transition")).toBe(1);
    expect(b.dataPlane.sas.size).toBe(2);
  });

  test("a Delete twice, of what never was, of SPI 0: answered, nothing else", () => {
    const { b, peer } = stageUp();
    expect(peer.ask(INFORMATIONAL, [deletion(0, 0xdead, 0xffff_ffff)])?.payloads).toEqual([]);
    expect(b.dataPlane.sas.size).toBe(2);
    const reply = peer.ask(INFORMATIONAL, [deletion(0x2000, 0x2000)]);
    expect(reply?.payloads.filter((p) => p.kind === "D")).toHaveLength(1);
    expect(peer.ask(INFORMATIONAL, [deletion(0x2000)])?.payloads).toEqual([]);
    expect(b.dataPlane.sas.size).toBe(0);
    expect(b.established()).toHaveLength(1);
  });

  test.each([0, 1, 4, 255])("REKEY_SA with protocol %i is INVALID_SYNTAX and no crash", (protocol) => {
    const { b, peer } = stageUp();
    const rekey: Payload = { ...notification("REKEY_SA"), protocol, spi: spiBytes(0x2000) };
    const reply = peer.ask(CREATE_CHILD_SA, childPayloads(0x2100, [nonce(), rekey]));
    expect(notifies(reply)).toEqual([NOTIFY.INVALID_SYNTAX]);
    expect(b.count("internal-error")).toBe(0);
  });

  test("REKEY_SA of an unknown SPI is CHILD_SA_NOT_FOUND with that SPI", () => {
    const { peer } = stageUp();
    const rekey = NOTIFY_DATA.REKEY_SA.build({ protocol: PROTOCOL.ESP, spi: 0xabcd });
    const reply = peer.ask(CREATE_CHILD_SA, childPayloads(0x2100, [nonce(), rekey]));
    const n = reply?.payloads.find((p) => p.kind === "N");
    expect(n?.type).toBe(NOTIFY.CHILD_SA_NOT_FOUND);
    expect(n && Buffer.from(n.spi).toString("hex")).toBe("0000abcd");
  });

  test.each([0, 1, 255])("the reserved SPI %i is refused", (spi) => {
    const { b, peer } = stageUp();
    const reply = peer.ask(CREATE_CHILD_SA, childPayloads(spi, [nonce()]));
    expect(notifies(reply)).toEqual([NOTIFY.INVALID_SYNTAX]);
    expect(b.dataPlane.outbound().every((s) => s.spi > 255)).toBe(true);
  });

  test("CHILD SAs of one IKE SA are bounded", () => {
    const { b, peer } = stageUp();
    let refused = 0;
    for (let i = 0; i < 300; i++) {
      const reply = peer.ask(CREATE_CHILD_SA, childPayloads(0x3000 + i, [nonce()]));
      if (notifies(reply).includes(NOTIFY.NO_ADDITIONAL_SAS)) refused++;
    }
    expect(refused).toBe(45);
    expect(b.dataPlane.inbound()).toHaveLength(256);
  });

  test("an IKE rekey with the zero SPI, no KE or a degenerate one leaves no new IKE SA", () => {
    const sa = (spi: Uint8Array): Payload => ({
      kind: "SA",
      proposals: [{ number: 1, protocol: PROTOCOL.IKE, spi, transforms: IKE_OFFER }],
    });
    const ke = (octet: number): Payload => ({ kind: "KE", group: 31, data: new Uint8Array(32).fill(octet) });
    const cases: Payload[][] = [
      [sa(new Uint8Array(8)), nonce(), ke(3)],
      [sa(new Uint8Array(8).fill(1)), nonce()],
      [sa(new Uint8Array(8).fill(1)), nonce(), ke(0)],
      [sa(spiBytes(4)), nonce(), ke(3)],
    ];
    for (const payloads of cases) {
      const { b, peer } = stageUp();
      expect(notifies(peer.ask(CREATE_CHILD_SA, payloads)).length).toBeGreaterThan(0);
      expect(b.engine.sizes().ikeSas).toBe(1);
      expect(b.count("internal-error")).toBe(0);
    }
  });

  test("a retransmitted request gets the very same octets, without being done again", () => {
    const { b, peer } = stageUp();
    const datagram = peer.seal(CREATE_CHILD_SA, childPayloads(0x2100, [nonce()]));
    const first = peer.send(datagram);
    const again = peer.send(datagram);
    expect(again).toEqual(first);
    expect(b.dataPlane.inbound()).toHaveLength(2);
  });
});

test("whatever authenticated payloads come in whatever order: no defect, bounded memory, other peers untouched", () => {
  const octets = (max: number) => fc.uint8Array({ maxLength: max });
  const payload: fc.Arbitrary<Payload> = fc.oneof(
    fc.record({
      kind: fc.constant("N" as const),
      type: fc.oneof(fc.nat(50), fc.integer({ min: 16_384, max: 16_440 })),
      protocol: fc.nat(4),
      spi: octets(8),
      data: octets(40),
    }),
    fc.record({
      kind: fc.constant("D" as const),
      protocol: fc.constant(3),
      spis: fc.array(fc.uint8Array({ minLength: 4, maxLength: 4 }), { maxLength: 4 }),
    }),
    fc.record({ kind: fc.constant("D" as const), protocol: fc.constant(1), spis: fc.constant([]) }),
    fc.record({ kind: fc.constant("Nonce" as const), data: fc.uint8Array({ minLength: 16, maxLength: 64 }) }),
    fc.record({ kind: fc.constant("KE" as const), group: fc.constantFrom(14, 19, 31), data: octets(64) }),
    fc.record({ kind: fc.constant("unknown" as const), type: fc.integer({ min: 100, max: 120 }), data: octets(20) }),
    fc.constantFrom(...childPayloads(0x5000)),
    fc.constant<Payload>(NOTIFY_DATA.REKEY_SA.build({ protocol: PROTOCOL.ESP, spi: 0x2000 })),
    fc.constant<Payload>({
      kind: "SA",
      proposals: [{ number: 1, protocol: PROTOCOL.IKE, spi: new Uint8Array(8).fill(5), transforms: IKE_OFFER }],
    }),
  );
  const request = fc.record({
    exchange: fc.constantFrom(IKE_AUTH, CREATE_CHILD_SA, CREATE_CHILD_SA, INFORMATIONAL, 43),
    payloads: fc.array(payload, { maxLength: 7 }),
  });
  fc.assert(
    fc.property(fc.boolean(), fc.array(request, { maxLength: 12 }), (authenticated, requests) => {
      const { sim, b, peer } = authenticated ? stageUp() : stage();
      for (const { exchange, payloads } of requests) {
        if (!peer.ask(exchange, payloads)) peer.mid = b.established().length > 0 ? peer.mid : 1;
      }
      expect(b.count("internal-error")).toBe(0);
      expect(b.engine.sizes().ikeSas).toBeLessThanOrEqual(8);
      sim.run(4 * 3600);
      expect(b.engine.sizes()).toMatchObject({ ikeSas: 0, waiting: 0, halfOpen: 0, held: 0 });
      expect(b.dataPlane.sas.size).toBe(0);
    }),
    { numRuns: Number(process.env.SIM_RUNS ?? 150), endOnFailure: true },
  );
});
