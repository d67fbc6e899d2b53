import { jest } from "@jest/globals";
import { IpAddress } from "@sallyport/base";
import type { DataPlane, DataPlaneEvent } from "@sallyport/dataplane";
import type { CryptoJob, Effect, EngineStatus, IkeConfig, Input } from "@sallyport/ike";
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
      policies: () => [],
      status: () => ({ peers: [] }) as unknown as EngineStatus,
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
  });
  return {
    host,
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

it("calls the data plane in order, ends a list at its first failure, and reports what failed while configuring", async () => {
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
  expect(t.inputs.slice(1)).toMatchObject([
    { on: "dataplane-done", id: 7, values: [4711] },
    { on: "failed", id: 8, at: 1 },
  ]);
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

it("works off a storm in slices, one a turn of the event loop, and drops what is too much", async () => {
  // Every input costs the engine a millisecond; a slice is ten.
  let now = 0;
  const t = setUp(
    () => {
      now++;
      return [];
    },
    undefined,
    () => now,
  );
  for (let i = 0; i < 5000; i++) t.receive(new Uint8Array(1));
  expect(t.inputs).toHaveLength(10);
  expect(t.host.dropped).toBe(5000 - 10 - 4096);
  await new Promise(setImmediate);
  expect(t.inputs).toHaveLength(20);
  await new Promise(setImmediate);
  expect(t.inputs).toHaveLength(30);
  t.host.close();
});

it("says nothing to the engine once it is closed", () => {
  const t = setUp(() => []);
  t.host.close();
  t.receive(new Uint8Array(1));
  expect(t.inputs).toEqual([]);
  jest.clearAllTimers();
});
