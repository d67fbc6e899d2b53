import { randomBytes } from "node:crypto";
import { jest } from "@jest/globals";
import { IpAddress } from "@sallyport/base";
import { createEsp } from "@sallyport/esp";
import fc from "fast-check";
import { LEFT, Link, policySpec, RIGHT, saSpec, selector } from "./link.fixture.js";
import { udp } from "./packets.fixture.js";

const packet = (more = {}) => udp({ source: "10.1.0.1", destination: "10.2.0.1", ports: [1, 2], octets: 64, ...more });

/** Both ends, and a sender that lets everything out. */
function ready(
  inbound = saSpec({ direction: "in" }),
  outbound = saSpec({ ...inbound, direction: "out", lifetime: {}, selectors: [] }),
): Link {
  const link = new Link();
  link.addPolicy(policySpec({ selector: selector("0.0.0.0/0", "0.0.0.0/0") }));
  link.addPolicy(policySpec({ selector: selector("::/0", "::/0") }));
  link.addOutbound(outbound);
  link.addInbound(inbound);
  return link;
}

/** An ESP packet with any payload and next header. */
function handmade(payload: Uint8Array, nextHeader: number, sequence: number): Uint8Array {
  const esp = createEsp(saSpec());
  const out = new Uint8Array(esp.sealedBytes(payload.length));
  esp.seal(out, 0, payload, nextHeader, 0, sequence);
  return out;
}

describe("Inbound", () => {
  it("loses the batch in which something throws, says so, and goes on", () => {
    const link = ready();
    link.send(packet(), packet());
    const defect = new TypeError("a defect");
    const find = jest.spyOn(link.incoming, "get").mockImplementationOnce(() => {
      throw defect;
    });
    link.receive();
    expect(link.delivered).toEqual([]);
    expect(link.failed).toEqual([defect]);
    expect(link.counted()).toEqual({ "in-errors": 2 });
    find.mockRestore();
    link.send(packet());
    link.receive();
    expect(link.delivered).toEqual([packet()]);
  });

  it("delivers what was sent, whatever the order and the SAs it is mixed with", () => {
    const link = ready();
    const other = saSpec({ direction: "in", spi: 0x2002, reqid: 2, selectors: [selector("::/0", "::/0")] });
    link.addInbound(other);
    link.addOutbound(saSpec({ ...other, direction: "out", reqid: 1 }));
    const packets = Array.from({ length: 40 }, (_, i) =>
      i % 3 === 0
        ? udp({ source: "2001:db8::1", destination: "2001:db8::2", ports: [i, 9], octets: i })
        : packet({ ports: [i, 7], octets: i }),
    );
    link.send(...packets);
    const datagrams = link.sent.splice(0).map(({ data }) => data);
    for (const [i, j] of [
      [3, 17],
      [20, 5],
    ] as const)
      [datagrams[i], datagrams[j]] = [datagrams[j] as Buffer, datagrams[i] as Buffer];
    link.receive(datagrams);
    const text = (octets: Uint8Array) => Buffer.from(octets).toString("hex");
    expect(link.delivered.map(text).sort()).toEqual(packets.map(text).sort());
    expect(link.counted()).toEqual({});
  });

  it("delivers a packet once, also within one batch", () => {
    const link = ready();
    link.send(packet(), packet());
    const [first, second] = link.sent.splice(0).map(({ data }) => data) as [Buffer, Buffer];
    link.receive([first, second, first, Buffer.from(second)]);
    link.receive([Buffer.from(first)]);
    expect(link.delivered).toHaveLength(2);
    expect(link.incoming.get(0x1001)).toMatchObject({ packets: 2, replayed: 3, outOfWindow: 0 });
    expect(link.counted()).toEqual({ "in-state-sequence-errors": 3 });
  });

  it("counts packets left of the window apart", () => {
    const link = ready();
    for (let i = 0; i < 100; i++) link.send(packet());
    const datagrams = link.sent.splice(0).map(({ data }) => data);
    link.receive(datagrams.slice(99));
    link.receive([datagrams[36] as Buffer, datagrams[35] as Buffer]);
    expect(link.incoming.get(0x1001)).toMatchObject({ packets: 2, outOfWindow: 1, sequence: 100n });
  });

  it("moves no window for a forged packet", () => {
    const link = ready();
    link.send(packet());
    const [genuine] = link.sent.splice(0).map(({ data }) => data) as [Buffer];
    const forged = Buffer.from(genuine);
    forged.writeUInt32BE(5000, 4);
    link.receive([forged, genuine]);
    expect(link.delivered).toHaveLength(1);
    expect(link.incoming.get(0x1001)).toMatchObject({ integrityFailures: 1, sequence: 1n });
    expect(link.counted()).toEqual({ "in-state-protocol-errors": 1 });
  });

  it("crosses the turn of the lower half with ESN", () => {
    const inbound = saSpec({ direction: "in", esn: true, initialSequence: 0xffff_fff0n });
    const link = ready(inbound);
    for (let i = 0; i < 40; i++) link.send(packet());
    link.receive();
    expect(link.delivered).toHaveLength(40);
    expect(link.incoming.get(0x1001)?.sequence).toBe(0x1_0000_0018n);
  });

  it.each([
    ["an unknown SPI", "in-no-states", (l: Link) => l.receive([Buffer.alloc(60, 1)])],
    [
      "an SPI that is only reserved",
      "in-state-invalid",
      (l: Link) => {
        l.reserved.add(0x01010101);
        l.receive([Buffer.alloc(60, 1)]);
      },
    ],
    ["fewer octets than a header", "in-header-errors", (l: Link) => l.receive([Buffer.alloc(7, 1)])],
    [
      "a packet without room for an ICV",
      "in-header-errors",
      (l: Link) => l.receive([handmade(Buffer.alloc(0), 4, 1).subarray(0, 20)]),
    ],
    ["a next header of transport mode", "in-state-mode-errors", (l: Link) => l.receive([handmade(packet(), 17, 1)])],
    ["an inner packet of the other family", "in-header-errors", (l: Link) => l.receive([handmade(packet(), 41, 1)])],
    [
      "an inner packet longer than its payload",
      "in-header-errors",
      (l: Link) => l.receive([handmade(packet().subarray(0, 50), 4, 1)]),
    ],
    [
      "an inner packet outside the selectors",
      "in-template-mismatches",
      (l: Link) => l.send(packet({ source: "10.9.0.1" })),
    ],
    [
      "an inner packet of another policy's",
      "in-template-mismatches",
      (l: Link) => {
        const policy = policySpec({ direction: "in" });
        l.addPolicy({ ...policy, template: { ...(policy.template as NonNullable<typeof policy.template>), reqid: 7 } });
        l.send(packet());
      },
    ],
    [
      "what a policy discards",
      "in-policy-blocked",
      (l: Link) => {
        l.addPolicy(policySpec({ direction: "fwd", action: "discard", selector: selector("10.1.0.1", "10.2.0.0/16") }));
        l.send(packet());
      },
    ],
  ] as const)("drops %s and counts it as %s", (_name, counter, act) => {
    const link = ready();
    act(link);
    if (link.sent.length > 0) link.receive();
    expect(link.delivered).toEqual([]);
    expect(link.counted()).toEqual({ [counter]: 1 });
  });

  it("drops dummy packets without a word, and trims what pads a packet to hide its length", () => {
    const link = ready();
    const padded = Uint8Array.from([...packet(), ...randomBytes(200)]);
    link.receive([handmade(randomBytes(300), 59, 1), handmade(padded, 4, 2)]);
    expect(link.delivered).toEqual([Buffer.from(packet())]);
    expect(link.counted()).toEqual({});
  });

  it("announces a changed far end once, and only for authenticated packets", () => {
    const link = ready();
    for (let i = 0; i < 4; i++) link.send(packet());
    const [one, two, three, four] = link.sent.splice(0).map(({ data }) => data) as [Buffer, Buffer, Buffer, Buffer];
    const elsewhere = IpAddress.parse("198.51.100.7");
    const forged = Buffer.from(four);
    forged[40] = (forged[40] as number) ^ 1;
    link.receive([forged], elsewhere, 9);
    expect(link.events).toEqual([]);
    link.receive([one, two], elsewhere, 40_000);
    const from = { address: LEFT, port: 4500 };
    const sa = { destination: RIGHT, protocol: "esp", spi: 0x1001 };
    expect(link.events).toEqual([
      { on: "mapping-changed", sa, reqid: 1, from, to: { address: elsewhere, port: 40_000 } },
    ]);
    link.receive([three], elsewhere, 40_001);
    expect(link.events).toHaveLength(2);
    expect(link.delivered).toHaveLength(3);
  });

  it("stops at a hard limit in the middle of a batch", () => {
    const link = ready(saSpec({ direction: "in", lifetime: { softBytes: 100n, hardPackets: 3n } }));
    for (let i = 0; i < 6; i++) link.send(packet());
    link.receive();
    expect(link.delivered).toHaveLength(3);
    expect(link.expired.at(-1)).toEqual({ spi: 0x1001, hard: true });
    expect(link.incoming.size).toBe(0);
  });

  it("takes any datagram without throwing, and delivers none that was not sealed", () => {
    const link = ready();
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { minLength: 1, maxLength: 8 }), (datagrams) => {
        for (const datagram of datagrams) if (datagram.length >= 4) new DataView(datagram.buffer).setUint32(0, 0x1001);
        link.receive(datagrams);
        expect(link.delivered).toEqual([]);
      }),
    );
  });
});
