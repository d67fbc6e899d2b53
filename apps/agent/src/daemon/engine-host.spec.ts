import { jest } from "@jest/globals";
import { IpAddress, Prefix } from "@sallyport/base";
import type { DataPlane, DataPlaneEvent } from "@sallyport/dataplane";
import {
  BACKLOG_TIMER,
  type CryptoJob,
  type DataPlaneOp,
  type Effect,
  type EngineStatus,
  type IkeConfig,
  type Input,
} from "@sallyport/ike";
import pino from "pino";
import { fault } from "../faults.js";
import type { CryptoAnswer } from "./crypto-runner.js";
import { EngineHost } from "./engine-host.js";
import type { DatagramListener } from "./transport.js";

const HERE = { address: IpAddress.parse("192.0.2.1"), port: 500 };
const THERE = { address: IpAddress.parse("192.0.2.2"), port: 500 };
const CONFIG = { peers: [] } as unknown as IkeConfig;

/** A host round an engine whose answers the test scripts; its neighbours only record. */
function setUp(
  answer: (input: Input) => readonly Effect[],
  crypto?: (job: CryptoJob) => CryptoAnswer | Promise<CryptoAnswer>,
  now: () => number = () => performance.now(),
) {
  const inputs: Input[] = [];
  const left = { backlog: 0 };
  const sent: Uint8Array[] = [];
  const calls: string[] = [];
  let datagram: DatagramListener = () => {};
  let event: (event: DataPlaneEvent) => void = () => {};
  const dataPlane = {
    listen: (listener: typeof event) => {
      event = listener;
    },
    adopt: async () => ({ sas: [], policies: [] }),
    allocateSpi: async () => {
      calls.push("allocateSpi");
      return 4711;
    },
    removeSa: async () => {
      calls.push("removeSa");
    },
    installSa: async ({ spi }: { spi: number }) => {
      calls.push("installSa");
      if (spi === 666) throw fault("agent/no-route", "refused", { field: "spi", value: "EINVAL" });
    },
    installRoute: async () => {
      throw fault("agent/no-route", "no such network", { field: "destination", value: "ENETUNREACH" });
    },
  } as unknown as DataPlane;
  const host = new EngineHost({
    engine: {
      handle: (input) => {
        inputs.push(input);
        return answer(input);
      },
      // The first octet names the IKE SA; 0 is a stranger.
      owner: (datagram) => datagram[0] || undefined,
      // biome-ignore lint/correctness/useYield: there is nothing to interrupt
      *policySteps() {
        return [];
      },
      lessee: () => undefined,
      virtualAddresses: () => [],
      // biome-ignore lint/correctness/useYield: there is nothing to interrupt
      *statusSteps() {
        return { peers: [] } as unknown as EngineStatus;
      },
      stands: () => false,
      get backlog() {
        return left.backlog;
      },
    },
    clock: { now, wall: () => 0 },
    transport: {
      listen: (listener) => {
        datagram = listener;
      },
      send: (_local, _remote, data) => sent.push(data),
      keepalive: () => {},
      close: () => {},
    },
    dataPlane,
    crypto: { run: crypto ?? (() => ({ ok: false, failure: { code: "x", message: "" } })) },
    log: pino({ level: "silent" }),
    onEvent: () => {},
    onTrace: () => {},
  });
  return {
    host,
    left,
    inputs,
    sent,
    calls,
    receive: (data: Uint8Array) => datagram(HERE, THERE, data),
    dataPlaneEvent: (e: DataPlaneEvent) => event(e),
  };
}

const kinds = (inputs: readonly Input[]) => inputs.map((i) => i.on);

it("hands datagrams to the engine as copies, and sends what it says", () => {
  const t = setUp((input) =>
    input.on === "datagram" ? [{ do: "send", local: HERE, remote: THERE, datagram: Uint8Array.of(9) }] : [],
  );
  const slab = Uint8Array.of(1, 2, 3);
  t.receive(slab);
  slab.fill(0);
  expect(t.inputs).toMatchObject([{ on: "datagram", datagram: Uint8Array.of(1, 2, 3) }]);
  expect(t.sent).toEqual([Uint8Array.of(9)]);
});

it("gives results of crypto back, now or later, and failures as failures", async () => {
  const job = { kind: "dh-generate", group: "x25519" } as const;
  const later = Promise.resolve<CryptoAnswer>({ ok: true, result: { shared: Uint8Array.of(2) } });
  const answers: (CryptoAnswer | Promise<CryptoAnswer>)[] = [
    { ok: true, result: { shared: Uint8Array.of(1) } },
    later,
    { ok: false, failure: { code: "ike/bad-key-exchange", message: "zero" } },
  ];
  const t = setUp(
    (input) => (input.on === "datagram" ? [1, 2, 3].map((id) => ({ do: "crypto", id, job }) as const) : []),
    () => answers.shift() as CryptoAnswer,
  );
  t.receive(new Uint8Array(1));
  while (t.inputs.length < 4) await new Promise(setImmediate);
  expect(t.inputs.slice(1)).toMatchObject([
    { on: "crypto-done", id: 1 },
    { on: "failed", id: 3, failure: { code: "ike/bad-key-exchange" } },
    { on: "crypto-done", id: 2 },
  ]);
});

it("calls the data plane in order, ends a list that is waited for at its first failure, and reports what failed while configuring", async () => {
  const sa = { destination: THERE.address, protocol: "esp", spi: 300 } as const;
  const request = {
    source: HERE.address,
    destination: THERE.address,
    protocol: "esp",
    mode: "tunnel",
    reqid: 1,
  } as const;
  const route = { op: "installRoute", args: [{ destination: "10.0.0.0/8", via: THERE.address }] } as never;
  const t = setUp((input) =>
    input.on === "config"
      ? [
          { do: "dataplane", id: 7, ops: [{ op: "allocateSpi", args: [request] }] },
          { do: "dataplane", id: 8, ops: [{ op: "removeSa", args: [sa] }, route, { op: "removeSa", args: [sa] }] },
        ]
      : [],
  );
  const { failures } = await t.host.configure(CONFIG);
  expect(t.calls).toEqual(["allocateSpi", "removeSa"]);
  expect(failures).toMatchObject([{ code: "agent/no-route", value: "ENETUNREACH", op: { op: "installRoute" } }]);
  while (t.inputs.length < 3) await new Promise(setImmediate);
  expect(t.inputs.slice(1)).toMatchObject([
    { on: "dataplane-done", id: 7, values: [4711] },
    { on: "failed", id: 8, at: 1 },
  ]);
});

it("carries out the rest of a list that nobody waits for when one of it is refused, and reports each refusal", async () => {
  const sa = { destination: THERE.address, protocol: "esp", spi: 300 } as const;
  const route = { op: "installRoute", args: [{ destination: "10.0.0.0/8", via: THERE.address }] } as never;
  const removal = { op: "removeSa" as const, args: [sa] as [typeof sa] };
  const t = setUp((input) =>
    input.on === "config" ? [{ do: "dataplane", id: 0, ops: [route, removal, route, removal] }] : [],
  );
  const { failures } = await t.host.configure(CONFIG);
  expect(t.calls).toEqual(["removeSa", "removeSa"]);
  expect(failures).toMatchObject([{ op: { op: "installRoute" } }, { op: { op: "installRoute" } }]);
  expect(kinds(t.inputs)).toEqual(["config"]);
});

it("sends what comes after work of the data plane once that is done: the peer may rely on it", async () => {
  const send = (octet: number) => ({ do: "send", local: HERE, remote: THERE, datagram: Uint8Array.of(octet) }) as const;
  const id = { destination: HERE.address, protocol: "esp", spi: 1 } as const;
  const t = setUp((input) =>
    input.on === "datagram"
      ? [send(1), { do: "dataplane", id: 0, ops: [{ op: "removeSa", args: [id] }] }, send(2)]
      : [],
  );
  t.receive(new Uint8Array(1));
  expect([t.sent.length, t.calls.length]).toEqual([1, 0]);
  while (t.sent.length < 2) {
    expect(t.sent).toEqual([Uint8Array.of(1)]);
    await null;
  }
  expect(t.calls).toEqual(["removeSa"]);
  expect(t.sent).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
});

it("outlives an engine that throws", () => {
  const t = setUp((input) => {
    if (input.on === "datagram") throw new Error("a defect");
    return [];
  });
  expect(() => t.receive(new Uint8Array(1))).not.toThrow();
  t.host.command({ command: "probe", peer: "a" });
  expect(kinds(t.inputs)).toEqual(["datagram", "command"]);
});

/** A host whose engine takes a millisecond for every input. */
function slow(answer: (input: Input) => readonly Effect[] = () => []) {
  let now = 0;
  return setUp(
    (input) => {
      now++;
      return answer(input);
    },
    undefined,
    () => now,
  );
}

it("works off a storm in slices, one a turn of the event loop, and drops what is too much", async () => {
  const t = slow();
  for (let sa = 1; sa <= 100; sa++) for (let i = 0; i < 100; i++) t.receive(Uint8Array.of(sa));
  expect(t.inputs).toHaveLength(5);
  expect(t.host.dropped).toBe(100 * 100 - 5 - 64 * 64);
  await new Promise(setImmediate);
  expect(t.inputs).toHaveLength(10);
  await new Promise(setImmediate);
  expect(t.inputs).toHaveLength(15);
  t.host.close();
});

it("hears an IKE SA before a thousand strangers that were there first", async () => {
  const t = slow();
  for (let i = 0; i < 1000; i++) t.receive(Uint8Array.of(0, i));
  const heard = t.inputs.length;
  t.receive(Uint8Array.of(7));
  await new Promise(setImmediate);
  expect(t.inputs.slice(heard)[0]).toMatchObject({ datagram: Uint8Array.of(7) });
  expect(t.host.dropped).toBe(1000 - heard - 512);
  t.host.close();
});

it("does not hear strangers any more once they have had their share of the time", async () => {
  const t = slow();
  for (let turn = 0; turn < 30; turn++) {
    for (let i = 0; i < 20; i++) t.receive(Uint8Array.of(0, i));
    await new Promise(setImmediate);
  }
  const strangers = t.inputs.length;
  expect(strangers).toBeGreaterThanOrEqual(90);
  expect(strangers).toBeLessThan(30 * 5);
  t.receive(Uint8Array.of(7));
  await new Promise(setImmediate);
  expect(t.inputs.slice(strangers)).toMatchObject([{ datagram: Uint8Array.of(7) }]);
  t.host.close();
});

it("says nothing to the engine once it is closed", () => {
  const t = setUp(() => []);
  t.host.close();
  t.receive(new Uint8Array(1));
  expect(t.inputs).toEqual([]);
  jest.clearAllTimers();
});

it("overwrites the keys of SAs that were handed over, and of those that were refused or never tried", async () => {
  const keys = [1, 2, 3, 4].map((octet) => new Uint8Array(20).fill(octet));
  const sa = (spi: number, encryption: number, integrity: number) => ({
    op: "installSa",
    args: [{ spi, encryption: { key: keys[encryption] }, integrity: { key: keys[integrity] } }],
  });
  const ops = [sa(666, 0, 1), sa(5, 2, 3)] as unknown as Extract<Effect, { do: "dataplane" }>["ops"];
  const t = setUp((input) => (input.on === "config" ? [{ do: "dataplane", id: 9, ops }] : []));
  await t.host.configure(CONFIG);
  expect(t.calls).toEqual(["installSa"]);
  for (const key of keys) expect(key.every((octet) => octet === 0)).toBe(true);
});

it("has carried a command out when what came before it is dealt with and the data plane has done what follows", async () => {
  const sa = { destination: THERE.address, protocol: "esp", spi: 300 } as const;
  let now = 0;
  const t = setUp(
    (input) => {
      // The first datagram takes more than a slice, so that what follows waits.
      if (input.on === "datagram") now += 100;
      return input.on === "command" ? [{ do: "dataplane", id: 0, ops: [{ op: "removeSa", args: [sa] }] }] : [];
    },
    undefined,
    () => now,
  );
  t.receive(Uint8Array.of(1));
  t.receive(Uint8Array.of(1));
  const command = { command: "distrust", fingerprint: "00", failure: { code: "pki/revoked", message: "" } } as const;
  const done = t.host.carriedOut(command);
  expect(kinds(t.inputs)).toEqual(["datagram"]);
  await done;
  expect(kinds(t.inputs)).toEqual(["datagram", "datagram", "command"]);
  expect(t.calls).toEqual(["removeSa"]);
});

it("keeps nobody waiting for a command when it closes", async () => {
  let now = 0;
  const t = setUp(
    () => {
      now += 100;
      return [];
    },
    undefined,
    () => now,
  );
  t.receive(Uint8Array.of(1));
  const done = t.host.carriedOut({ command: "probe", peer: "p" });
  t.host.close();
  await expect(done).resolves.toBeUndefined();
  await expect(t.host.carriedOut({ command: "probe", peer: "p" })).resolves.toBeUndefined();
});

const END = { command: "terminate", peer: "p" } as const;

it("has carried a command out, applied a configuration and shut down when every IKE SA that is to go has been told", async () => {
  const waits = [
    (t: ReturnType<typeof setUp>) => t.host.carriedOut(END),
    (t: ReturnType<typeof setUp>) => t.host.configure(CONFIG),
    (t: ReturnType<typeof setUp>) => t.host.shutdown(),
  ];
  for (const wait of waits) {
    let rounds = 3;
    const t = setUp((input) => {
      t.left.backlog = input.on === "timer" ? --rounds : rounds;
      return t.left.backlog > 0 ? [{ do: "arm", timer: BACKLOG_TIMER, at: 0 }] : [];
    });
    await wait(t);
    expect([rounds, kinds(t.inputs).slice(1)]).toEqual([0, ["timer", "timer", "timer"]]);
  }
});

it("tells what the data plane refused of a configuration, of IKE SAs too that take it over later", async () => {
  const route = { op: "installRoute", args: [{ destination: Prefix.parse("10.0.0.0/8") }] } as unknown as DataPlaneOp;
  let rounds = 3;
  const t = setUp((input) => {
    t.left.backlog = input.on === "timer" ? --rounds : rounds;
    const more: Effect[] = t.left.backlog > 0 ? [{ do: "arm", timer: BACKLOG_TIMER, at: 0 }] : [];
    return [...more, { do: "dataplane", id: 0, ops: [route] }];
  });
  expect((await t.host.configure(CONFIG)).failures).toHaveLength(4);
  await t.host.carriedOut(END);
  expect((await t.host.configure(CONFIG)).failures).toHaveLength(1);
});

it("keeps nobody waiting for the ends of IKE SAs when it closes", async () => {
  const t = setUp(() => []);
  t.left.backlog = 1;
  const done = t.host.carriedOut(END);
  await new Promise(setImmediate);
  t.host.close();
  await expect(done).resolves.toBeUndefined();
});
