import { IpAddress } from "@sallyport/base";
import { describe as inWords } from "./describe.js";
import { type AgentStatus, statusLines } from "./status-text.js";

it("tells a defect of the engine as an error, with the input that it lost", () => {
  const described = inWords({
    event: "internal-error",
    peer: undefined,
    at: 1,
    code: "TypeError",
    message: "x is not a function",
    input: "datagram",
  });
  expect(described).toEqual({
    severity: "error",
    code: "ike/internal-error",
    message: "a defect of the IKE engine lost an input (datagram): TypeError: x is not a function",
    facts: { input: "datagram", exception: "TypeError" },
  });
});

it("shows what was refused to strangers apart from the tunnels, with both sides' values", () => {
  const error = {
    code: "ike/no-proposal-chosen",
    message: "no proposal of the peer is acceptable",
    ours: "IKE:AES_GCM_16_256",
    theirs: "IKE:3DES",
    exchange: "IKE_SA_INIT",
    at: 1_000,
  };
  const remote = { address: IpAddress.parse("203.0.113.9"), port: 500 };
  const status = { peers: [], unknown: [], halfOpen: 0, pools: [], counters: {}, policies: [], gateway: null };
  const more = { dataPlane: "userspace", revision: 0, connected: true, droppedDatagrams: 0, now: 6_000 };
  const start = { state: "no-intent", refusal: null } as const;
  const lines = [...statusLines({ ...status, ...more, ...start, refusals: [{ peer: undefined, remote, error }] })];
  expect(lines.slice(1)).toEqual([
    "refused to callers who were not authenticated:",
    "  5 s ago, 203.0.113.9:500: no proposal of the peer is acceptable (ike/no-proposal-chosen)",
    "    ours:   IKE:AES_GCM_16_256",
    "    theirs: IKE:3DES",
  ]);
  expect([...statusLines({ ...status, ...more, ...start, refusals: [] })].join()).not.toContain("refused");
});

it("says that a gateway starts, and what stands in the way", () => {
  const status = {
    peers: [],
    unknown: [],
    halfOpen: 0,
    pools: [],
    counters: {},
    policies: [],
    gateway: null,
    refusals: [],
  };
  const more = { dataPlane: "userspace", revision: 0, connected: true, droppedDatagrams: 0, now: 6_000 };
  const first = (about: Pick<AgentStatus, "state" | "refusal">) =>
    [...statusLines({ ...status, ...more, ...about })][0]?.split(";")[0];
  expect(first({ state: "starting", refusal: null })).toBe("gateway starting");
  const refusal = { code: "agent/data-plane-refused", message: "EEXIST" };
  expect(first({ state: "starting", refusal })).toBe("gateway starting (EEXIST, agent/data-plane-refused)");
  expect(first({ state: "no-intent", refusal: null })).toBe("gateway no intent yet");
});
