import { IpAddress } from "@sallyport/base";
import { describe as inWords } from "./describe.js";
import { statusText } from "./status-text.js";

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
  const lines = statusText({ ...status, ...more, refusals: [{ peer: undefined, remote, error }] }).split("\n");
  expect(lines.slice(1)).toEqual([
    "refused to callers who were not authenticated:",
    "  5 s ago, 203.0.113.9:500: no proposal of the peer is acceptable (ike/no-proposal-chosen)",
    "    ours:   IKE:AES_GCM_16_256",
    "    theirs: IKE:3DES",
  ]);
  expect(statusText({ ...status, ...more, refusals: [] })).not.toContain("refused");
});
