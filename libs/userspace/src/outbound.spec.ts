import { jest } from "@jest/globals";
import { LEFT, Link, policySpec, RIGHT, saSpec, selector } from "./link.fixture.js";
import { udp } from "./packets.fixture.js";

const packet = (destination = "10.2.0.1", octets = 32, more = {}) =>
  udp({ source: "10.1.0.1", destination, ports: [1000, 2000], octets, ...more });
const spiOf = (data: Buffer) => data.readUInt32BE(0);

function ready(): Link {
  const link = new Link();
  link.addPolicy();
  link.addOutbound();
  return link;
}

describe("Outbound", () => {
  it("loses the batch in which something throws, says so, and goes on", () => {
    const link = ready();
    const defect = new TypeError("a defect");
    const find = jest.spyOn(link.policies, "find").mockImplementationOnce(() => {
      throw defect;
    });
    link.send(packet(), packet());
    expect(link.sent).toEqual([]);
    expect(link.failed).toEqual([defect]);
    expect(link.counted()).toEqual({ "out-errors": 2 });
    find.mockRestore();
    link.send(packet());
    expect(link.sent).toHaveLength(1);
  });

  it("pads packets up to what was asked for, or to what the path or the device takes", () => {
    const sizes = (tfc: number, pathMtu?: number) => {
      const link = new Link();
      link.addPolicy();
      link.addOutbound(saSpec({ tfc }), pathMtu);
      link.send(packet(), packet("10.2.0.1", 900));
      expect(link.outgoing[0]?.bytes).toBe(60 + 928);
      return link.sent.map(({ data }) => data.length);
    };
    const [short = 0, long = 0] = sizes(0);
    expect(long).toBeGreaterThan(short);
    expect(sizes(500)).toEqual([short - 60 + 500, long]);
    const [padded, other] = sizes(1000);
    expect(padded).toBe(other);
    expect(new Set(sizes(65_535, 1100)).size).toBe(1);
    expect(Math.max(...sizes(65_535, 1100))).toBeLessThanOrEqual(1100 - 28);
    expect(Math.max(...sizes(65_535))).toBeLessThan(1400 + 64);
  });

  it("numbers packets 1, 2, 3 … and copies TOS to the outer header", () => {
    const link = ready();
    link.send(packet(), packet("10.2.0.2", 100, { tos: 0xba }));
    link.send(packet());
    expect(link.sent.map(({ data }) => data.readUInt32BE(4))).toEqual([1, 2, 3]);
    expect(link.sent.map(({ tos }) => tos)).toEqual([0, 0xba, 0]);
    expect(link.outgoing[0]).toMatchObject({ packets: 3, bytes: 60 + 128 + 60, sequence: 3n });
  });

  it("sends by the newest SA whose selectors and addresses fit", () => {
    const link = ready();
    link.addOutbound(saSpec({ spi: 0x2000, selectors: [selector("10.1.0.0/16", "10.2.5.0/24")] }));
    link.addOutbound(saSpec({ spi: 0x3000, reqid: 9 }));
    link.addOutbound(saSpec({ spi: 0x4000, destination: LEFT, source: RIGHT }));
    link.send(packet("10.2.5.1"), packet("10.2.0.1"), packet("10.2.5.2"));
    expect(link.sent.map(({ data }) => spiOf(data))).toEqual([0x2000, 0x1001, 0x2000]);
  });

  it("prefers an SA that has not announced its end", () => {
    const link = ready();
    link.addOutbound(saSpec({ spi: 0x2000, lifetime: { softPackets: 2n } }));
    link.send(packet(), packet());
    expect(link.expired).toEqual([{ spi: 0x2000, hard: false }]);
    link.send(packet());
    expect(link.sent.map(({ data }) => spiOf(data))).toEqual([0x2000, 0x2000, 0x1001]);
  });

  it("stops at the hard limit in the middle of a batch", () => {
    const link = new Link();
    link.addPolicy();
    link.addOutbound(saSpec({ lifetime: { hardPackets: 3n } }));
    link.send(packet(), packet(), packet(), packet(), packet());
    expect(link.sent).toHaveLength(3);
    expect(link.expired).toEqual([{ spi: 0x1001, hard: true }]);
    link.send(packet());
    expect(link.events).toMatchObject([{ on: "acquire", reqid: 1 }]);
  });

  it("never uses a sequence number twice (WIRE-03)", () => {
    const link = new Link();
    link.addPolicy();
    link.addOutbound(saSpec({ initialSequence: 0xffff_fffdn }));
    link.send(packet(), packet(), packet());
    expect(link.sent.map(({ data }) => data.readUInt32BE(4))).toEqual([0xffff_fffe, 0xffff_ffff]);
    expect(link.counted()).toMatchObject({ "out-state-sequence-errors": 1 });
    expect(link.expired).toEqual([{ spi: 0x1001, hard: true }]);
  });

  it("asks once for an SA, keeps the first packets and says which flow it was for", () => {
    const link = new Link();
    link.addPolicy();
    for (let i = 0; i < 100; i++) link.send(packet());
    expect(link.events).toMatchObject([
      {
        on: "acquire",
        reqid: 1,
        selector: { protocol: 17, sourcePort: 1000, destinationPort: 2000 },
        template: { destination: RIGHT },
      },
    ]);
    expect(String((link.events[0] as { selector?: { source: unknown } }).selector?.source)).toBe("10.1.0.1/32");
    expect(link.counted()).toEqual({ "out-no-states": 100 });
    expect(link.acquires.release(2)).toEqual([]);
    expect(link.acquires.release(1)).toHaveLength(64);
    expect(link.acquires.release(1)).toEqual([]);
  });

  it("asks again after a while, and keeps nothing that has grown old", () => {
    const link = new Link();
    link.addPolicy();
    link.send(packet());
    link.now += 4999;
    link.send(packet());
    expect(link.events).toHaveLength(1);
    link.now += 6000;
    link.send(packet());
    expect(link.events).toHaveLength(2);
    expect(link.acquires.release(1)).toHaveLength(2);
  });

  it.each([
    ["discard", policySpec({ action: "discard" }), { "out-policy-blocked": 1 }, 0],
    ["none", policySpec({ action: "none" }), {}, 1],
    ["use, without an SA", policySpec({}, "use"), {}, 1],
  ])("obeys %s", (_name, policy, counted, passed) => {
    const link = new Link();
    link.addPolicy(policy);
    link.send(packet());
    expect([link.sent, link.events]).toEqual([[], []]);
    expect(link.counted()).toEqual(counted);
    expect(link.passed).toHaveLength(passed);
  });

  it("protects with level use once there is an SA", () => {
    const link = new Link();
    link.addPolicy(policySpec({}, "use"));
    link.addOutbound();
    link.send(packet());
    expect([link.sent.length, link.passed.length]).toEqual([1, 0]);
  });

  it("ignores what no policy names, and octets that are no packet", () => {
    const link = ready();
    link.send(
      packet("10.3.0.1"),
      Uint8Array.of(1, 2, 3),
      udp({ source: "fe80::1", destination: "ff02::2", ports: [1, 2], octets: 1 }),
    );
    expect([link.sent, link.passed, link.counted()]).toEqual([[], [], {}]);
  });

  it.each([
    ["what has to be protected", {}, "require", { "in-template-mismatches": 1 }, 0],
    ["what is discarded", { action: "discard" }, "require", { "in-policy-blocked": 1 }, 0],
    ["what may come in the clear", { action: "none" }, "require", {}, 1],
    ["what is protected when it can be", {}, "use", {}, 1],
    ["what no policy names", { selector: selector("10.8.0.0/16", "10.1.0.0/16") }, "require", {}, 1],
  ] as const)("judges packets that came in the clear: %s", (_name, more, level, counted, passed) => {
    const link = ready();
    link.guarding = true;
    link.addPolicy(policySpec({ direction: "fwd", selector: selector("10.2.0.0/16", "10.1.0.0/16"), ...more }, level));
    link.send(udp({ source: "10.2.0.1", destination: "10.1.0.1", ports: [1, 2], octets: 8 }));
    expect([link.sent, link.passed.length, link.counted()]).toEqual([[], passed, counted]);
  });

  it("tells the sender what fits when a packet may not be cut, and cuts nothing that may", () => {
    const link = new Link();
    link.addPolicy();
    const sa = link.addOutbound(saSpec(), 1400);
    // 1400 − 20 − 8 − 8 − 8 − 16 = 1340, a multiple of 4, less the trailer's 2.
    expect(sa.innerMtu).toBe(1338);
    link.send(
      packet("10.2.0.1", 1310, { dontFragment: true }),
      packet("10.2.0.1", 1311),
      packet("10.2.0.1", 1311, { dontFragment: true }),
    );
    expect(link.sent.map(({ data }) => data.length)).toEqual([1372, 1376]);
    expect(link.delivered).toHaveLength(1);
    expect([link.delivered[0]?.[20], link.delivered[0]?.[21], link.delivered[0]?.readUInt16BE(26)]).toEqual([
      3, 4, 1338,
    ]);
  });

  it("loses what the socket does not take, counts it and goes on", () => {
    const link = ready();
    link.room = 2;
    link.send(packet(), packet(), packet(), packet());
    expect([link.sent.length, link.counted()]).toEqual([2, { "out-errors": 2 }]);
  });

  it("tries once more after an error, which may be another peer's, and then loses the one packet", () => {
    const link = ready();
    link.failures = 1;
    link.send(packet(), packet(), packet());
    expect([link.sent.length, link.counted()]).toEqual([3, {}]);
    link.failures = 2;
    link.send(packet(), packet(), packet());
    expect([link.sent.length, link.counted()]).toEqual([5, { "out-errors": 1 }]);
  });
});
