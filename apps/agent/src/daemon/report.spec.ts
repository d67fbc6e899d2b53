import { IpAddress } from "@sallyport/base";
import { TunnelStatus } from "@sallyport/contract";
import type { SaState } from "@sallyport/dataplane";
import type { ChildStatus, IkeStatus, PeerStatus } from "@sallyport/ike";
import type { ConnectionIntent, GatewayIntent } from "@sallyport/intent";
import { fault } from "../faults.js";
import { changesBetween, type Snapshot } from "../stream/index.js";
import { childCounters, newestError, type Reporting, tunnelStates } from "./report.js";
import { inSlices } from "./slices.js";

const ip = IpAddress.parse;
const range = (first: string, last: string, more: object = {}) => ({
  first: ip(first),
  last: ip(last),
  protocol: 0,
  firstPort: 0,
  lastPort: 65_535,
  ...more,
});

const child = (id: string, more: Partial<ChildStatus> = {}): ChildStatus => ({
  child: id,
  name: id,
  serial: 1,
  state: "installed",
  mode: "tunnel",
  spiIn: 0xabc,
  spiOut: 0xdef00000,
  reqid: 1,
  suite: "AES_GCM_16_256/NO_ESN",
  local: [range("10.1.0.0", "10.1.255.255")],
  remote: [range("10.2.0.0", "10.2.0.255")],
  encapsulated: true,
  establishedAt: 1000,
  rekeyAt: 5000.75,
  expireAt: undefined,
  ...more,
});

const sa = (children: readonly ChildStatus[], more: Partial<IkeStatus> = {}): IkeStatus => ({
  peer: "t1",
  name: "t1",
  serial: 1,
  state: "established",
  initiator: true,
  spiInitiator: "0011223344556677",
  spiResponder: "8899aabbccddeeff",
  local: { address: ip("192.0.2.1"), port: 4500 },
  remote: { address: ip("2001:db8::1"), port: 4500 },
  localId: "a.test",
  remoteId: "b.test",
  remoteCertificate: undefined,
  suite: "AES_GCM_16_256/PRF_HMAC_SHA2_256/CURVE25519",
  nat: { local: true, remote: false, forced: false },
  virtual: undefined,
  establishedAt: 1000,
  rekeyAt: 9000,
  expireAt: undefined,
  lastSeenAt: 1500,
  children,
  ...more,
});

const peer = (sas: readonly IkeStatus[], more: Partial<PeerStatus> = {}): PeerStatus => ({
  peer: "t1",
  name: "t1",
  sas,
  lastError: undefined,
  childErrors: {},
  retryAt: undefined,
  ...more,
});

const connection = { id: "t1", name: "t1", children: [{ id: "a" }, { id: "b" }] } as unknown as ConnectionIntent;
/** As an engine reports them. */
const reporting = (...peers: readonly PeerStatus[]): Reporting =>
  function* (visit) {
    for (const [i, one] of peers.flatMap((p) => p.sas).entries()) {
      visit(one);
      if (i % 64 === 63) yield;
    }
    return { peers, unknown: [], refusals: [], halfOpen: 0, pools: [], counters: {} };
  };
const INTENT = { connections: [connection] } as unknown as GatewayIntent;
const states = (known: Snapshot, ...peers: readonly PeerStatus[]) =>
  inSlices(tunnelStates(INTENT, reporting(...peers), known, new Map(), Math.round, () => 0));
const NONE: Snapshot = new Map();

describe("the status of a tunnel", () => {
  it.each([
    ["nothing", [], TunnelStatus.DOWN],
    ["an SA that is being made", [sa([], { establishedAt: undefined, state: "connecting" })], TunnelStatus.CONNECTING],
    ["no child", [sa([])], TunnelStatus.PARTIAL],
    ["one of two children", [sa([child("a")])], TunnelStatus.PARTIAL],
    ["a child that is being installed", [sa([child("a"), child("b", { state: "installing" })])], TunnelStatus.PARTIAL],
    ["both children", [sa([child("a"), child("b", { state: "rekeying" })])], TunnelStatus.UP],
    ["both children on two SAs", [sa([child("a")]), sa([child("b")])], TunnelStatus.UP],
    ["an SA that is being deleted", [sa([child("a"), child("b")], { state: "deleting" })], TunnelStatus.CONNECTING],
  ] as const)("of a peer with %s", async (_name, sas, expected) =>
    expect((await states(NONE, peer(sas))).get("t1")?.state.status).toBe(expected),
  );

  it("of a peer that the engine does not know", async () =>
    expect((await states(NONE)).get("t1")?.state.status).toBe(TunnelStatus.DOWN));
});

it("tells the newest of several errors", () => {
  const error = (at: number) => ({ code: "ike/x", message: String(at), exchange: "IKE_AUTH", at });
  expect(newestError(peer([], { lastError: error(1), childErrors: { a: error(3), b: error(2) } }))?.at).toBe(3);
  expect(newestError(peer([]))).toBeUndefined();
  const why = fault("agent/no-route", "no route to 192.0.2.9", { field: "host" });
  expect(newestError(undefined, { why, at: 5 })).toMatchObject({
    code: "agent/no-route",
    message: "no route to 192.0.2.9",
    at: 5,
  });
});

it("reports a tunnel's SAs and its error with both sides' values, in whole milliseconds", async () => {
  const error = {
    code: "ike/no-proposal-chosen",
    message: "no",
    ours: "AES",
    theirs: "3DES",
    exchange: "IKE_SA_INIT",
    at: 2000.4,
  };
  const virtual = { local: [], remote: [ip("10.9.0.1"), ip("2001:db8:9::1")], dns: [], domains: [], subnets: [] };
  const all = await inSlices(
    tunnelStates(
      INTENT,
      reporting(peer([sa([child("a")], { user: "ann", virtual })], { lastError: error })),
      NONE,
      new Map(),
      (at) => Math.round(at + 1_700_000_000_000),
      () => 42_000,
    ),
  );
  const told = all.get("t1");
  expect(told?.state).toMatchObject({
    tunnelId: "t1",
    status: TunnelStatus.PARTIAL,
    changedAt: { seconds: 42n, nanos: 0 },
    lastError: { code: "ike/no-proposal-chosen", ours: "AES", theirs: "3DES", exchange: "IKE_SA_INIT" },
    ikeSas: [],
  });
  expect([...(told?.sas.values() ?? [])]).toMatchObject([
    {
      initiatorSpi: "0011223344556677",
      remoteEndpoint: "[2001:db8::1]:4500",
      localNat: true,
      nextRekeyAt: { seconds: 1_700_000_009n, nanos: 0 },
      user: "ann",
      localVirtualAddresses: [],
      remoteVirtualAddresses: ["10.9.0.1", "2001:db8:9::1"],
      children: [
        {
          childId: "a",
          inboundSpi: "00000abc",
          outboundSpi: "def00000",
          localTs: ["10.1.0.0/16"],
          remoteTs: ["10.2.0.0/24"],
          nextRekeyAt: { seconds: 1_700_000_005n, nanos: 1_000_000 },
        },
      ],
    },
  ]);
});

it("tells of SAs what came, changed and went, and of nothing else", async () => {
  const read = (...sas: IkeStatus[]) => states(NONE, peer(sas));
  const one = (spiInitiator: string, children: ChildStatus[] = []) => sa(children, { spiInitiator });
  const before = await read(one("1"), one("2", [child("a")]), one("3"));
  expect(await inSlices(changesBetween(before, await read(one("3"), one("2", [child("a")]), one("1"))))).toEqual({
    ...{ tunnels: [], removed: [], sas: [] },
  });
  const { sas, tunnels } = await inSlices(
    changesBetween(before, await read(one("1"), one("2", [child("a", { spiIn: 1 })]), one("4"))),
  );
  expect(tunnels).toEqual([]);
  expect(sas.map((s) => [s.initiatorSpi, s.sa?.children.length])).toEqual([
    ["2", 1],
    ["4", 0],
    ["3", undefined],
  ]);
  const gone = await inSlices(changesBetween(before, new Map()));
  expect([gone.removed, gone.sas.map((s) => s.sa)]).toEqual([["t1"], [undefined, undefined, undefined]]);
});

it("keeps nothing new of an SA that is as it was told", async () => {
  const one = (spiInitiator: string, children: ChildStatus[] = []) => sa(children, { spiInitiator });
  const sasOf = (snapshot: Snapshot) => [...(snapshot.get("t1")?.sas.values() ?? [])];
  const before = await states(NONE, peer([one("1"), one("2", [child("a")]), one("3")]));
  const after = await states(before, peer([one("2", [child("a", { spiIn: 1 })]), one("1"), one("4")]));
  const [first, second] = sasOf(before);
  expect(sasOf(after)[1]).toBe(first);
  expect(sasOf(after)[0]).not.toBe(second);
  expect(sasOf(after).map((s) => s.initiatorSpi)).toEqual(["2", "1", "4"]);
});

it("can be interrupted after every few of a tunnel's SAs, and between tunnels", () => {
  const connections = Array.from({ length: 2000 }, (_, i) => ({ ...connection, id: `t${i}` }));
  const many = Array.from({ length: 20_000 }, (_, serial) => sa([child("a")], { serial }));
  const steps = (work: Iterable<undefined>) => [...work].length;
  const intent = { connections } as unknown as GatewayIntent;
  const busy = reporting(peer(many));
  expect(steps(tunnelStates(intent, busy, NONE, new Map(), Math.round, () => 0))).toBeGreaterThan(
    20_000 / 64 + 2000 / 64 - 2,
  );
  expect(steps(childCounters(busy, [], 0))).toBeGreaterThan(20_000 / 64 - 1);
});

it("reads counters of both directions, and leaves out what the data plane no longer has", async () => {
  const one = {
    bytes: 100n,
    packets: 2n,
    replayed: 1,
    integrityFailures: 2,
    outOfWindow: 3,
    replayWindow: 128,
    ageSeconds: 9,
    idleSeconds: 1.5,
    sequence: 2n,
  };
  const listed = [
    { ...one, direction: "in", spi: 0xabc },
    { ...one, direction: "out", spi: 0xdef00000, bytes: 50n, packets: 1n },
  ] as unknown as SaState[];
  const counters = await inSlices(
    childCounters(reporting(peer([sa([child("a"), child("b", { spiIn: 1, spiOut: 2 })])])), listed, 10_000),
  );
  expect(counters).toMatchObject([
    {
      tunnelId: "t1",
      childId: "a",
      bytesIn: 100n,
      bytesOut: 50n,
      packetsOut: 1n,
      errorsIn: 6n,
      lastPacketInAt: { seconds: 8n, nanos: 500_000_000 },
    },
  ]);
});
