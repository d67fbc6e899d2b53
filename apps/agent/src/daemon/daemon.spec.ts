import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type GatewayIntent, INTENT_SCHEMA, type Ports } from "@sallyport/intent";
import { fault } from "../faults.js";
import { ask } from "./control-socket.js";
import { controlSocketPath, Daemon } from "./daemon.js";
import type { Gateway, GatewayOptions } from "./gateway.js";

let stateDir: string;
let daemon: Daemon;
let history: string[];
/** Ports that somebody else has, and revisions that the data plane refuses. */
let taken: number[];
let refused: number[];

/** A gateway that only remembers what it was told. */
async function openGateway({ ports }: GatewayOptions): Promise<Gateway> {
  if (taken.includes(ports.ike)) throw fault("agent/no-data-plane", "EADDRINUSE");
  history.push(`open ${ports.ike}`);
  let intent: GatewayIntent | undefined;
  return {
    ports,
    get intent() {
      return intent;
    },
    carrier: { encapsulating: [], dataPlane: { capabilities: { name: "kernel" } } },
    status: () => ({ peers: [] }),
    policies: async () => [],
    apply: async (next: GatewayIntent) => {
      if (refused.includes(next.revision)) throw fault("agent/unsupported-proposal", "no", { field: "connections[0]" });
      intent = next;
      history.push(`apply ${next.revision}`);
    },
    tunnel: (name: string) => name,
    initiate: (name: string) => history.push(`initiate ${name}`),
    close: async () => {
      history.push(`close ${ports.ike}`);
    },
  } as unknown as Gateway;
}

const intent = (revision: number, ports: Ports): GatewayIntent => ({
  schema: INTENT_SCHEMA,
  revision,
  gateway: { id: "g", name: "g" },
  identity: { type: "fqdn", value: "g.test" },
  ports,
  trustAnchors: [],
  connections: [],
  options: { commitConfirmSeconds: 60, reportSeconds: 5 },
});
const USUAL = { ike: 500, natt: 4500 };
const OTHER = { ike: 1500, natt: 14_500 };

beforeEach(async () => {
  stateDir = await mkdtemp(path.join(tmpdir(), "sallyport-daemon-"));
  history = [];
  taken = [];
  refused = [];
  daemon = new Daemon({ stateDir, dataPlane: "kernel", tunName: "t", logLevel: "silent" }, openGateway);
  await daemon.open(intent(1, USUAL), []);
  await daemon.apply(intent(1, USUAL));
});
afterEach(async () => {
  await daemon.close({ keep: false });
  await rm(stateDir, { recursive: true });
});

it("moves to the ports that an intent names", async () => {
  await daemon.apply(intent(2, OTHER));
  expect(history).toEqual(["open 500", "apply 1", "close 500", "open 1500", "apply 2"]);
});

it("goes back to the last good intent on its ports when others cannot be had", async () => {
  taken = [OTHER.ike];
  await expect(daemon.apply(intent(2, OTHER))).rejects.toMatchObject({
    code: "agent/ports-unavailable",
    field: "ports",
  });
  expect(history).toEqual(["open 500", "apply 1", "close 500", "open 500", "apply 1"]);
  expect(daemon.gateway.intent?.revision).toBe(1);
});

it("goes back to the last good intent on its ports when the new one is refused there", async () => {
  refused = [2];
  await expect(daemon.apply(intent(2, OTHER))).rejects.toMatchObject({ code: "agent/unsupported-proposal" });
  expect(history.slice(-4)).toEqual(["open 1500", "close 1500", "open 500", "apply 1"]);
  expect(daemon.gateway.intent?.revision).toBe(1);
});

it("answers on its control socket, and lets no second agent run on the same state", async () => {
  expect(await ask(controlSocketPath(stateDir), { command: "status" })).toMatchObject({
    dataPlane: "kernel",
    state: "running",
    refusal: null,
    revision: 1,
    connected: false,
  });
  const second = new Daemon({ ...daemon.options }, openGateway);
  await expect(second.open(undefined, [])).rejects.toMatchObject({ code: "agent/already-running", value: stateDir });
});

describe("a start", () => {
  const start = async (known: GatewayIntent | undefined, patienceMs?: number) => {
    await daemon.close({ keep: false });
    daemon = new Daemon({ ...daemon.options, patienceMs }, openGateway);
    await daemon.open(known, []);
  };
  const request = (command: string) => ask(controlSocketPath(stateDir), { command, tunnel: "one" });

  it("is told apart from a gateway that waits for its first intent", async () => {
    await start(intent(3, USUAL));
    expect(await request("status")).toMatchObject({ state: "starting", gateway: null, revision: 0 });
    await start(undefined);
    expect(await request("status")).toMatchObject({ state: "no-intent", gateway: null });
    await daemon.apply(intent(4, USUAL));
    expect(await request("status")).toMatchObject({ state: "running", revision: 4 });
  });

  it("is waited for by a command that names a tunnel", async () => {
    await start(intent(3, USUAL));
    history = [];
    const up = request("up");
    await request("status");
    await daemon.apply(intent(3, USUAL));
    await up;
    expect(history).toEqual(["apply 3", "initiate one"]);
  });

  it("that takes too long is an error with a code, and with what stands in the way", async () => {
    refused = [3];
    await start(intent(3, USUAL), 20);
    await expect(request("up")).rejects.toMatchObject({ value: "agent/starting" });
    await expect(daemon.apply(intent(3, USUAL))).rejects.toBeDefined();
    await expect(request("trace")).rejects.toMatchObject({
      value: "agent/starting",
      message: expect.stringMatching(/: no$/),
    });
    expect(await request("status")).toMatchObject({ refusal: { code: "agent/unsupported-proposal", message: "no" } });
  });
});
