import { type Endpoint, IpAddress } from "@sallyport/base";
import { buildAddon } from "../build.mjs";
import { setFarEnd } from "./sockaddr.js";
import { type Datagram, type IcmpError, META, META_WORDS } from "./types.js";
import { UdpSocket } from "./udp.js";

const at = (address: string, port = 0): Endpoint => ({ address: IpAddress.parse(address), port });
const open: UdpSocket[] = [];
function socket(address: string, options: Partial<Parameters<typeof UdpSocket.open>[0]> = {}) {
  const made = UdpSocket.open({ local: at(address), ...options });
  open.push(made);
  return made;
}

function collect(from: UdpSocket, wanted: number): Promise<Datagram[]> {
  const got: Datagram[] = [];
  return new Promise((resolve, reject) => {
    from.onDatagram((d) => {
      got.push({ ...d, data: Uint8Array.from(d.data) });
      if (got.length === wanted) resolve(got);
    }, reject);
  });
}

beforeAll(() => buildAddon());
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

describe("UdpSocket", () => {
  it.each([
    ["127.0.0.1", "0.0.0.0", "127.1.2.3"],
    ["::1", "::", "::1"],
  ])("over %s tells far end, local address, TOS and length", async (from, any, to) => {
    const receiver = socket(any);
    const sender = socket(from);
    const arrived = collect(receiver, 1);
    const target = at(to, receiver.local.port);
    expect(sender.send({ data: Uint8Array.of(1, 2, 3), to: target, tos: 0xb8 })).toBe(true);
    const [first] = await arrived;
    expect(first).toMatchObject({ data: Uint8Array.of(1, 2, 3), tos: 0xb8, truncated: false });
    expect(String(first?.from.address)).toBe(from);
    expect(first?.from.port).toBe(sender.local.port);
    expect(String(first?.to)).toBe(to);
    expect(first?.interfaceIndex).toBe(1);
  });

  it("says how much of its room is taken by what waits", async () => {
    const receiver = socket("127.0.0.1");
    const sender = socket("127.0.0.1");
    expect(receiver.fill).toBe(0);
    for (let i = 0; i < 16; i++) sender.send({ data: new Uint8Array(1_000), to: receiver.local });
    expect(receiver.fill).toBeGreaterThan(0.01);
    expect(receiver.fill).toBeLessThan(1);
    await collect(receiver, 16);
    expect(receiver.fill).toBeLessThan(0.01);
  });

  it("goes on when a listener throws, and hands what it threw to whom it may concern", async () => {
    const receiver = socket("127.0.0.1");
    const sender = socket("127.0.0.1");
    const defect = new TypeError("a defect of the listener");
    const failures: Error[] = [];
    const arrived = new Promise<string>((resolve) => {
      receiver.onDatagram(
        ({ data }) => {
          const text = Buffer.from(data).toString();
          if (text === "bad") throw defect;
          resolve(text);
        },
        (error) => {
          failures.push(error);
          sender.send({ data: Buffer.from("good"), to: receiver.local });
          throw new Error("and another one of the failure's own listener");
        },
      );
    });
    sender.send({ data: Buffer.from("bad"), to: receiver.local });
    expect(await arrived).toBe("good");
    expect(failures).toMatchObject([{ code: "linux-io/listener-failed", cause: defect }]);
    expect(receiver.failures).toBe(2);
  });

  it("sends from the address that is asked for", async () => {
    const receiver = socket("127.0.0.1");
    const sender = socket("0.0.0.0");
    const arrived = collect(receiver, 1);
    sender.send({ data: Buffer.from("x"), to: receiver.local, from: IpAddress.parse("127.9.9.9") });
    expect(String((await arrived)[0]?.from.address)).toBe("127.9.9.9");
  });

  it("moves a batch from one slab to another socket unchanged", async () => {
    const final = socket("127.0.0.1");
    const relay = socket("127.0.0.1", { headroom: 16, slotBytes: 2048 });
    const sender = socket("127.0.0.1");
    relay.onBatch((slab, meta, count) => {
      for (let i = 0; i < count; i++) {
        setFarEnd(meta, i * META_WORDS, final.local);
        meta.fill(0, i * META_WORDS + META.local, i * META_WORDS + META.user);
      }
      expect(relay.sendBatch(slab, meta, count)).toBe(count);
    });
    const arrived = collect(final, 100);
    const slab = Buffer.alloc(100 * 10);
    const meta = new Uint32Array(100 * META_WORDS);
    for (let i = 0; i < 100; i++) {
      slab.fill(i, i * 10, i * 10 + 10);
      meta[i * META_WORDS + META.offset] = i * 10;
      meta[i * META_WORDS + META.length] = 10;
      setFarEnd(meta, i * META_WORDS, relay.local);
    }
    expect(sender.sendBatch(slab, meta, 100)).toBe(100);
    expect((await arrived).map((d) => [d.data.length, d.data[9]])).toEqual(
      Array.from({ length: 100 }, (_, i) => [10, i]),
    );
  });

  it("takes an empty datagram and flags one that is too long for its slot", async () => {
    const receiver = socket("127.0.0.1", { slotBytes: 100 });
    const sender = socket("127.0.0.1");
    const arrived = collect(receiver, 2);
    sender.send({ data: new Uint8Array(0), to: receiver.local });
    sender.send({ data: new Uint8Array(200), to: receiver.local });
    const [empty, long] = await arrived;
    expect(empty).toMatchObject({ truncated: false, data: new Uint8Array(0) });
    expect(long).toMatchObject({ truncated: true, data: new Uint8Array(100) });
  });

  it("hands over ICMP errors and goes on reading", async () => {
    const gone = socket("127.0.0.1");
    const target = gone.local;
    gone.close();
    const sender = socket("127.0.0.1", { icmpErrors: true });
    const refused = new Promise<IcmpError>((resolve) => sender.onIcmp(resolve));
    const arrived = collect(sender, 1);
    sender.send({ data: Buffer.from("nobody"), to: target });
    const error = await refused;
    expect(error).toMatchObject({ errno: "ECONNREFUSED", type: 3, code: 3, mtu: undefined });
    expect(error.destination.port).toBe(target.port);
    expect(String(error.offender)).toBe("127.0.0.1");
    const other = socket("127.0.0.1");
    other.send({ data: Buffer.from("still here"), to: sender.local });
    expect(Buffer.from((await arrived)[0]?.data ?? []).toString()).toBe("still here");
  });

  it("names errno and call of a refusal", () => {
    const taken = socket("127.0.0.1").local;
    expect(() => UdpSocket.open({ local: taken })).toThrow(
      expect.objectContaining({
        code: "linux-io/system-call",
        value: "EADDRINUSE",
        facts: expect.objectContaining({ syscall: "bind", local: `127.0.0.1:${taken.port}` }),
      }),
    );
    const sender = socket("127.0.0.1", { mtuDiscovery: "do" });
    expect(() => sender.send({ data: new Uint8Array(65507 + 1), to: taken })).toThrow(
      expect.objectContaining({ value: "EMSGSIZE" }),
    );
  });

  it("refuses records that point outside the slab or carry another family", () => {
    const sender = socket("127.0.0.1");
    const meta = new Uint32Array(META_WORDS);
    setFarEnd(meta, 0, sender.local);
    meta[META.offset] = 5;
    meta[META.length] = 6;
    expect(() => sender.sendBatch(new Uint8Array(10), meta, 1)).toThrow(/outside the slab/);
    expect(() => sender.sendBatch(new Uint8Array(10), meta, 2)).toThrow(/records end/);
    meta[META.family] = 6;
    expect(() => sender.sendBatch(new Uint8Array(16), meta, 1)).toThrow(/family/);
  });

  it("stops delivering once closed, and refuses use", async () => {
    const receiver = socket("127.0.0.1");
    const sender = socket("127.0.0.1");
    let count = 0;
    receiver.onDatagram(() => {
      count++;
      receiver.close();
    });
    for (let i = 0; i < 5; i++) sender.send({ data: Buffer.from("x"), to: receiver.local });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(count).toBeGreaterThanOrEqual(1);
    expect(() => receiver.send({ data: Buffer.from("x"), to: sender.local })).toThrow(
      expect.objectContaining({ code: "linux-io/closed" }),
    );
  });
});
