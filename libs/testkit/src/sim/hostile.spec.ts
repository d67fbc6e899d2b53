import { type Endpoint, IpAddress, Prefix } from "@sallyport/base";
import { DEFAULT_LIMITS, type Effect, IkeEngine, peekHeader } from "@sallyport/ike";
import fc from "fast-check";
import { disagreements } from "./agreement.js";
import { ADDRESSES, childOf, configOf, peerOf } from "./configs.js";
import type { Packet } from "./network.js";
import { SeededRng } from "./rng.js";
import { pair } from "./simulation.js";

const at = (address: string, port = 500): Endpoint => ({ address: IpAddress.parse(address), port });
const IKE_AUTH = 35;
const CREATE_CHILD_SA = 36;
const INFORMATIONAL = 37;

/** Every datagram of a tunnel's life, in order. */
function recorded(): Packet[] {
  const packets: Packet[] = [];
  const { sim, a, b } = pair({ a: configOf(), b: configOf() });
  sim.network.taps.push((p) => {
    packets.push(p);
    return p;
  });
  b.configure(configOf(peerOf("b")));
  a.configure(configOf(peerOf("a")));
  sim.run(1);
  return packets;
}

/** An engine that takes anybody as initiator. */
function responder(limits: Partial<typeof DEFAULT_LIMITS> = {}) {
  const rng = new SeededRng(7);
  const engine = new IkeEngine({ rng });
  const open = { ...peerOf("b"), remote: { endpoint: undefined, accept: [Prefix.any(4)] }, passive: true };
  engine.handle({ on: "config", now: 0, config: { ...configOf(open), limits: { ...DEFAULT_LIMITS, ...limits } } });
  return engine;
}

/** The first IKE_SA_INIT with another SPI. */
function flood(n: number): Uint8Array {
  const first = recorded()[0];
  const datagram = Uint8Array.from(first?.datagram ?? []);
  new DataView(datagram.buffer).setBigUint64(0, BigInt(n) + 1n);
  return datagram;
}

function sends(effects: readonly Effect[]) {
  return effects.filter((e): e is Extract<Effect, { do: "send" }> => e.do === "send");
}

describe("exhaustion (hostile input 21)", () => {
  const first = flood(0);
  const request = (n: number) => {
    const datagram = Uint8Array.from(first);
    new DataView(datagram.buffer).setBigUint64(0, BigInt(n) + 1n);
    return datagram;
  };

  test("half-open IKE SAs of one source and of all are bounded, and go after their time", () => {
    const engine = responder({ cookieThreshold: 1e9, halfOpen: 100, halfOpenPerSource: 10 });
    const ask = (n: number, source: string) =>
      engine.handle({ on: "datagram", now: n, local: at(ADDRESSES.b), remote: at(source), datagram: request(n) });
    const timers: number[] = [];
    for (let n = 0; n < 5000; n++) {
      for (const effect of ask(n, `10.0.${n % 40}.1`)) if (effect.do === "arm") timers.push(effect.timer);
    }
    expect(engine.sizes()).toMatchObject({ ikeSas: 100, halfOpen: 100 });
    expect(engine.status().counters["half-open-limit"]).toBeGreaterThan(1000);
    expect(engine.status().counters["half-open-limit-per-source"] ?? 0).toBe(0);
    for (let n = 5000; n < 5100; n++) ask(n, "10.9.9.9");
    for (const timer of timers) engine.handle({ on: "timer", now: 1e6, timer });
    expect(engine.sizes()).toMatchObject({ ikeSas: 0, halfOpen: 0, waiting: 0, held: 0 });
    for (let n = 6000; n < 6100; n++) ask(n, "10.9.9.9");
    expect(engine.sizes().halfOpen).toBe(10);
  });

  test("above the threshold no state is kept for who does not show a cookie", () => {
    const engine = responder({ cookieThreshold: 20 });
    for (let n = 0; n < 2000; n++) {
      engine.handle({
        on: "datagram",
        now: n,
        local: at(ADDRESSES.b),
        remote: at(`10.1.${n >> 8}.${n & 255}`),
        datagram: request(n),
      });
    }
    expect(engine.sizes().ikeSas).toBe(20);
  });

  test("a cookie is good for its source, its nonce and a minute or two", () => {
    const { sim, a, b } = pair({ b: { ...configOf(peerOf("b")), limits: { ...DEFAULT_LIMITS, cookieThreshold: 0 } } });
    const stolen: Packet[] = [];
    sim.network.taps.push((p) => {
      if (p.from.address.equals(a.address)) stolen.push(p);
      return p;
    });
    sim.run(1);
    const withCookie = stolen[0];
    if (!withCookie) throw new Error("no IKE_SA_INIT with a cookie");
    const demanded = () => b.count("cookie-demanded");
    const before = demanded();
    b.receive(withCookie.to, at("203.0.113.99"), withCookie.datagram);
    expect(demanded()).toBe(before + 1);
    sim.run(200);
    b.receive(withCookie.to, at(ADDRESSES.a, 501), withCookie.datagram);
    expect(demanded()).toBe(before + 2);
  });

  test("random datagrams leave no trace", () => {
    const engine = responder();
    const rng = new SeededRng(99);
    let answers = 0;
    for (let n = 0; n < 20_000; n++) {
      const datagram = rng.bytes(rng.u32() % 300);
      if (n % 2 === 0 && datagram.length > 28) {
        datagram[17] = 0x20;
        datagram[18] = 34 + (n % 5);
        new DataView(datagram.buffer).setUint32(24, datagram.length);
      }
      answers += sends(
        engine.handle({ on: "datagram", now: n / 1000, local: at(ADDRESSES.b), remote: at("10.3.3.3"), datagram }),
      ).length;
    }
    expect(engine.sizes()).toMatchObject({ ikeSas: 0, halfOpen: 0, waiting: 0, held: 0 });
    expect(answers).toBeLessThanOrEqual(21 * 20);
    expect(engine.status().counters["internal-error"]).toBeUndefined();
  });
});

describe("a defect of the engine itself", () => {
  const broken = () => {
    const p = pair();
    p.sim.run(1);
    const result = undefined as never;
    const wrong = (now: number) => {
      const begun = p.a.engine.handle({ on: "command", now, command: { command: "rekey-ike", peer: "b" } });
      const { id } = begun.find((e) => e.do === "crypto") ?? { id: 0 };
      return p.a.engine.handle({ on: "crypto-done", now, id, result });
    };
    return { ...p, wrong };
  };
  const told = (effects: readonly Effect[]) => effects.flatMap((e) => (e.do === "emit" ? [e.event] : []));

  test("is told as an event with the kind of input, counted, and ends nothing but the exchange", () => {
    const { a, sim, wrong } = broken();
    expect(told(wrong(sim.now))[0]).toEqual({
      event: "internal-error",
      peer: undefined,
      at: sim.now,
      code: "TypeError",
      message: expect.stringContaining("pair"),
      input: "crypto-done",
    });
    expect(a.count("internal-error")).toBe(1);
  });

  test("does not flood the log", () => {
    let fails = false;
    const bytes = (n: number) => {
      if (fails) throw new RangeError("no randomness");
      return new Uint8Array(n).fill(7);
    };
    const engine = new IkeEngine({ rng: { bytes } });
    const quiet = childOf("a", { startAction: "none" });
    engine.handle({ on: "config", now: 0, config: configOf(peerOf("a", { children: [quiet] })) });
    fails = true;
    const command = { command: "initiate", peer: "b", child: "net" } as const;
    const events: unknown[] = [];
    for (let now = 1; now <= 2000; now++) events.push(...told(engine.handle({ on: "command", now, command })));
    const message = "no randomness";
    expect(events).toMatchObject([1, 1001].map((at) => ({ at, code: "RangeError", message, input: "command" })));
    expect(engine.status().counters["internal-error"]).toBe(2000);
  });
});

describe("amplification (hostile input 22)", () => {
  test("no stranger gets more octets than he sent, but for the IKE_SA_INIT response of about the same size", () => {
    const engine = responder({ cookieThreshold: 0 });
    const packets = recorded().filter((p) => p.from.address.toString() === ADDRESSES.a);
    for (const { datagram } of packets) {
      for (let cut = 0; cut <= datagram.length; cut += 7) {
        const part = datagram.subarray(0, cut);
        for (const e of sends(
          engine.handle({ on: "datagram", now: cut, local: at(ADDRESSES.b), remote: at("10.3.3.3"), datagram: part }),
        )) {
          expect(e.datagram.length).toBeLessThanOrEqual(part.length);
        }
      }
    }
  });
});

describe("messages out of place (hostile input 15–17)", () => {
  test("nothing but IKE_AUTH is heard before authentication, not even with the right keys", () => {
    const { sim, a, b } = pair();
    const turned = new Set<number>();
    sim.network.taps.push((p) => {
      const peek = peekHeader(p.datagram);
      if (peek?.exchange !== IKE_AUTH || peek.response) return p;
      const datagram = Uint8Array.from(p.datagram);
      for (const exchange of [CREATE_CHILD_SA, INFORMATIONAL, 43, 240]) {
        datagram[18] = exchange;
        turned.add(exchange);
        sim.network.inject({ ...p, datagram: Uint8Array.from(datagram) });
      }
      return undefined;
    });
    sim.run(3);
    expect(turned.size).toBe(4);
    expect(a.established().concat(b.established())).toEqual([]);
    expect(b.dataPlane.sas.size).toBe(0);
    expect(b.count("ike/integrity")).toBeGreaterThan(0);
  });

  test("every datagram of the past, replayed: nothing changes, and only the last requests get their answers again", () => {
    const packets: Packet[] = [];
    const { sim, a, b } = pair({ b: configOf(peerOf("b", { window: 2 })) });
    sim.network.taps.push((p) => {
      packets.push(p);
      return p;
    });
    sim.run(1);
    a.command({ command: "rekey-child", peer: "b", child: "net" });
    sim.run(5);
    const past = [...packets];
    const events = a.events.length + b.events.length;
    const [spiA, spiB] = [a.dataPlane.inbound()[0]?.spi, b.dataPlane.inbound()[0]?.spi];
    for (const packet of past) sim.network.inject(packet);
    sim.run(40);
    expect([a.dataPlane.inbound()[0]?.spi, b.dataPlane.inbound()[0]?.spi]).toEqual([spiA, spiB]);
    expect(a.events.length + b.events.length).toBe(events);
    expect(disagreements(a, b)).toEqual([]);
    expect(b.count("retransmission-answered")).toBe(2);
    expect(b.count("request-replayed")).toBeGreaterThan(0);
    expect(a.count("stale-response")).toBeGreaterThan(0);
  });

  test("a message far ahead of the window is dropped", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    sim.network.taps.push((p) => {
      const datagram = Uint8Array.from(p.datagram);
      new DataView(datagram.buffer).setUint32(20, 77);
      return { ...p, datagram };
    });
    a.command({ command: "probe", peer: "b" });
    sim.run(1);
    expect(b.count("request-outside-window")).toBeGreaterThan(0);
    sim.network.taps.length = 0;
    sim.run(60);
    expect(disagreements(a, b)).toEqual([]);
  });
});

describe("a malicious middle", () => {
  const mutation = fc.record({
    nth: fc.integer({ min: 0, max: 12 }),
    offset: fc.nat(1500),
    xor: fc.integer({ min: 1, max: 255 }),
  });

  test("bent datagrams kill nothing: the tunnel comes up when they stop, and no end has failed inside", () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(mutation, { minLength: 1, maxLength: 12 }), (seed, mutations) => {
        const { sim, a, b } = pair({ seed, a: configOf(), b: configOf() });
        let n = 0;
        sim.network.taps.push((p) => {
          const count = n++;
          const datagram = Uint8Array.from(p.datagram);
          for (const { nth, offset, xor } of mutations) {
            if (nth === count) datagram[offset % datagram.length] = (datagram[offset % datagram.length] ?? 0) ^ xor;
          }
          return { ...p, datagram };
        });
        b.configure(configOf(peerOf("b")));
        a.configure(configOf(peerOf("a")));
        sim.run(240);
        expect(disagreements(a, b)).toEqual([]);
      }),
      { numRuns: Number(process.env.SIM_RUNS ?? 80), endOnFailure: true },
    );
  });

  test("a tunnel that stands shrugs off bent copies of all its datagrams", () => {
    const { sim, a, b } = pair();
    const rng = new SeededRng(5);
    sim.run(1);
    sim.network.taps.push((p) => {
      for (let i = 0; i < 20; i++) {
        const datagram = Uint8Array.from(p.datagram);
        const offset = rng.u32() % datagram.length;
        datagram[offset] = (datagram[offset] ?? 0) ^ (1 + (rng.u32() % 255));
        sim.network.inject({ ...p, datagram });
      }
      return p;
    });
    for (let i = 0; i < 5; i++) {
      a.command({ command: "rekey-child", peer: "b", child: "net" });
      b.command({ command: "rekey-ike", peer: "a" });
      sim.run(70);
    }
    expect(disagreements(a, b)).toEqual([]);
    expect(a.of("ike-up")).toHaveLength(1);
  });
});

describe("fragmentation (RFC 7383)", () => {
  const small = { fragmentSize: 160 };
  const config = () => ({ a: configOf(peerOf("a", small)), b: configOf(peerOf("b", small)) });

  test("messages above the size go in fragments, both ways", () => {
    const sizes: number[] = [];
    const { sim, a, b } = pair(config());
    sim.network.taps.push((p) => {
      if (peekHeader(p.datagram)?.exchange === IKE_AUTH) sizes.push(p.datagram.length);
      return p;
    });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(sizes.length).toBeGreaterThan(3);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(160 - 20 - 8 - 4);
  });

  test("lost, doubled and swapped fragments are put together all the same", () => {
    for (let seed = 1; seed < 40; seed++) {
      const { sim, a, b } = pair({ seed, ...config() });
      sim.faults({ loss: 0.2, duplication: 0.3, jitter: 50 });
      sim.run(60);
      sim.faults({ loss: 0, duplication: 0, jitter: 0 });
      sim.run(200);
      expect(disagreements(a, b)).toEqual([]);
    }
  });

  test("a peer that does not announce it gets whole messages", () => {
    const { sim, a, b } = pair({ ...config(), b: configOf(peerOf("b", { fragmentation: false })) });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(sim.network.carried).toBe(4);
  });
});
