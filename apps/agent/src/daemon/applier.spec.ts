import { IpAddress, Prefix } from "@sallyport/base";
import type { DataPlane } from "@sallyport/dataplane";
import { type DataPlaneOp, type IkeConfig, NOTHING_DECIDED } from "@sallyport/ike";
import { type ConnectionIntent, type GatewayIntent, INTENT_SCHEMA, Secret, withoutPeople } from "@sallyport/intent";
import pino from "pino";
import { IntentApplier } from "./applier.js";
import type { ConfigOutcome } from "./engine-host.js";

const psk = { method: "psk", keyId: "k", secret: new Secret("a secret of some length") } as const;

const connection = (
  id: string,
  remoteSubnets: readonly string[],
  espProposals: readonly string[] = ["aes256gcm16"],
): ConnectionIntent => ({
  id,
  name: id,
  role: "both",
  remote: { host: "peer.test", ports: { ike: 500, natt: 4500 } },
  ikeProposals: ["aes256gcm16-prfsha256-x25519"],
  local: { ...psk, identity: { type: "fqdn", value: "a.test" } },
  peer: { ...psk, identity: { type: "fqdn", value: "b.test" } },
  ikeRekeySeconds: 14_400,
  dpd: { intervalSeconds: 30 },
  children: [
    {
      id: `${id}-net`,
      name: "net",
      mode: "tunnel",
      localSubnets: ["10.1.0.0/16"],
      remoteSubnets,
      espProposals,
      rekeySeconds: 3600,
      startAction: "start",
    },
  ],
});

const intent = (revision: number, ...connections: ConnectionIntent[]): GatewayIntent => ({
  schema: INTENT_SCHEMA,
  revision,
  gateway: { id: "g", name: "g" },
  identity: { type: "fqdn", value: "a.test" },
  ports: { ike: 500, natt: 4500 },
  trustAnchors: [],
  connections,
  options: { commitConfirmSeconds: 60, reportSeconds: 5 },
});

let configured: IkeConfig[];
let outcomes: ConfigOutcome[];
let applier: IntentApplier;
let missingTold: number;
/** What name service and routing table say; undefined: nothing. */
let addresses: string[] | undefined;
let local: string | undefined;
/** Connections whose peer answers. */
let standing: string[];

beforeEach(() => {
  configured = [];
  outcomes = [];
  missingTold = 0;
  addresses = ["192.0.2.2"];
  standing = [];
  local = "192.0.2.1";
  applier = new IntentApplier({
    configure: async (config) => {
      configured.push(config);
      return outcomes.shift() ?? { failures: [] };
    },
    dataPlane: {
      capabilities: { name: "kernel", forcesEncapsulation: false } as DataPlane["capabilities"],
      tryAlgorithm: async (algorithm) => (algorithm === "chacha20-poly1305" ? "ENOSYS" : undefined),
    },
    credential: () => undefined,
    stands: (connectionId) => standing.includes(connectionId),
    clock: { now: () => 0, wall: () => 0 },
    log: pino({ level: "silent" }),
    network: {
      resolveHost: async () => {
        if (!addresses) throw new Error("no answer");
        return addresses.map((a) => IpAddress.parse(a));
      },
      localAddressFor: async () => {
        if (!local) throw new Error("no route");
        return IpAddress.parse(local);
      },
    },
    onMissing: () => {
      missingTold++;
    },
  });
});
afterEach(() => applier.close());

const peers = (config: IkeConfig | undefined) => config?.peers.map((p) => p.id);

it("configures the engine with an intent", async () => {
  await applier.apply(intent(1, connection("one", ["10.2.0.0/16"])));
  expect(configured.map(peers)).toEqual([["one"]]);
  expect(applier.current?.revision).toBe(1);
});

it("refuses what the kernel refuses, with field, value and errno, before it touches anything", async () => {
  await applier.apply(intent(1, connection("one", ["10.2.0.0/16"])));
  const bad = intent(2, connection("one", ["10.2.0.0/16"], ["aes256gcm16", "chacha20poly1305"]));
  await expect(applier.apply(bad)).rejects.toMatchObject({
    code: "agent/unsupported-proposal",
    field: "connections[0].children[0].espProposals[1]",
    value: "chacha20poly1305",
    facts: { algorithm: "chacha20-poly1305", errno: "ENOSYS" },
  });
  expect(configured).toHaveLength(1);
  expect(applier.current?.revision).toBe(1);
});

it("goes back to the last good intent when the data plane refuses a policy, and names the field", async () => {
  const first = intent(1, connection("one", ["10.2.0.0/16"]));
  await applier.apply(first);
  const op = {
    op: "installRoute",
    args: [{ destination: Prefix.parse("10.4.0.0/16"), via: IpAddress.parse("192.0.2.1") }],
  } satisfies DataPlaneOp;
  outcomes = [
    { failures: [{ code: "dataplane/refused", message: "adding the route failed: EEXIST", value: "EEXIST", op }] },
  ];
  const second = intent(2, connection("one", ["10.2.0.0/16"]), connection("two", ["10.3.0.0/16", "10.4.0.0/16"]));
  await expect(applier.apply(second)).rejects.toMatchObject({
    code: "agent/data-plane-refused",
    field: "connections[1].children[0].remoteSubnets[1]",
    value: "EEXIST",
    facts: { call: "installRoute", code: "dataplane/refused" },
  });
  expect(configured.map(peers)).toEqual([["one"], ["one", "two"], ["one"]]);
  expect(applier.current).toBe(first);
});

it("takes a first intent back to nothing when it is refused", async () => {
  const op = {
    op: "removeRoute",
    args: [{ destination: Prefix.parse("10.9.0.0/16"), via: IpAddress.parse("192.0.2.1") }],
  } satisfies DataPlaneOp;
  outcomes = [{ failures: [{ code: "dataplane/refused", message: "no", op }] }];
  await expect(applier.apply(intent(1, connection("one", ["10.2.0.0/16"])))).rejects.toMatchObject({
    field: "connections",
  });
  expect(configured.map(peers)).toEqual([["one"], []]);
  expect(applier.current).toBeUndefined();
});

it("refuses nobody while no intent is in force, so that peers go on calling", async () => {
  const op = {
    op: "removeRoute",
    args: [{ destination: Prefix.parse("10.9.0.0/16"), via: IpAddress.parse("192.0.2.1") }],
  };
  outcomes = [{ failures: [{ code: "dataplane/refused", message: "no", op: op as DataPlaneOp }] }];
  await expect(applier.apply(intent(1))).rejects.toBeDefined();
  expect(configured.at(-1)).toBe(NOTHING_DECIDED);
  await applier.apply(intent(2, connection("one", ["10.2.0.0/16"])));
  expect(configured.at(-1)?.undecided).toEqual([]);
  await applier.clear();
  expect(configured.at(-1)).toBe(NOTHING_DECIDED);
  expect(applier.current).toBeUndefined();
});

it("applies one intent after the other, never two at once", async () => {
  await Promise.all(
    [1, 2, 3].map((revision) => applier.apply(intent(revision, connection(`c${revision}`, ["10.2.0.0/16"])))),
  );
  expect(configured.map(peers)).toEqual([["c1"], ["c2"], ["c3"]]);
  expect(applier.current?.revision).toBe(3);
});

it("leaves out a connection whose name does not resolve, says why, and takes it in when it does", async () => {
  addresses = undefined;
  await applier.apply(intent(1, { ...connection("lost", ["10.3.0.0/16"]), role: "initiator" }));
  expect(configured.map(peers)).toEqual([[]]);
  expect(applier.missing.get("lost")?.why).toMatchObject({
    code: "intent/missing-fact",
    field: "connections[0].remote.host",
  });
  expect(missingTold).toBe(1);
  addresses = ["192.0.2.2"];
  await applier.refresh();
  expect(configured.map(peers)).toEqual([[], ["lost"]]);
  expect(applier.missing.size).toBe(0);
  expect(missingTold).toBe(2);
});

it.each([
  [
    "the name has no address for a moment",
    () => {
      addresses = undefined;
    },
  ],
  [
    "there is no route for a moment",
    () => {
      local = undefined;
    },
  ],
  [
    "the name's addresses come in another order",
    () => {
      addresses = ["192.0.2.9", "192.0.2.2"];
    },
  ],
])("changes nothing when %s", async (_what, happen) => {
  await applier.apply(intent(1, { ...connection("one", ["10.2.0.0/16"]), role: "initiator" }));
  happen();
  await applier.refresh();
  expect(configured[1]).toEqual(configured[0]);
});

it("follows a peer whose name leads elsewhere", async () => {
  await applier.apply(intent(1, connection("one", ["10.2.0.0/16"])));
  addresses = ["192.0.2.7"];
  await applier.refresh();
  expect(configured[1]?.peers[0]?.remote.endpoint?.address.toString()).toBe("192.0.2.7");
});

describe("a peer named by DNS (PEER-01)", () => {
  const endpoint = () => configured.at(-1)?.peers[0]?.remote.endpoint?.address.toString();

  it("is called where its name leads now, but stays where it answers (hostile input 27)", async () => {
    await applier.apply(intent(1, connection("one", ["10.2.0.0/16"])));
    expect(endpoint()).toBe("192.0.2.2");
    standing = ["one"];
    addresses = ["192.0.2.66"];
    await applier.refresh();
    expect(endpoint()).toBe("192.0.2.2");
    standing = [];
    await applier.refresh();
    expect(endpoint()).toBe("192.0.2.66");
    addresses = ["192.0.2.2", "192.0.2.66"];
    await applier.refresh();
    expect(endpoint()).toBe("192.0.2.66");
    addresses = undefined;
    await applier.refresh();
    expect(endpoint()).toBe("192.0.2.66");
  });
});

describe("somebody who is let in no more", () => {
  const remoteAccess = (id: string): ConnectionIntent => ({
    ...connection(id, []),
    modeConfig: {
      poolIds: [],
      onlyUsers: true,
      users: ["alice@acme", "bob@acme"].map((value) => ({ identity: { type: "email", value } })),
    },
  });
  const users = (config: IkeConfig | undefined) =>
    config?.peers[0]?.modeConfig?.users.map(({ identity }) => ("name" in identity ? identity.name : ""));

  it("is out without anything being looked up, and stays out whatever intent comes", async () => {
    const refused = new Set<string>();
    let lookUps = 0;
    const own = new IntentApplier({
      configure: async (config) => {
        configured.push(config);
        return { failures: [] };
      },
      dataPlane: {
        capabilities: { name: "kernel", forcesEncapsulation: false } as DataPlane["capabilities"],
        tryAlgorithm: async () => undefined,
      },
      credential: () => undefined,
      admitted: (wanted) => withoutPeople(wanted, refused),
      clock: { now: () => 0, wall: () => 0 },
      log: pino({ level: "silent" }),
      network: {
        resolveHost: async () => {
          // The second one never comes to an end.
          if (++lookUps > 1) await new Promise(() => undefined);
          return [IpAddress.parse("192.0.2.2")];
        },
        localAddressFor: async () => IpAddress.parse("192.0.2.1"),
      },
      onMissing: () => undefined,
    });
    try {
      await own.admitAnew();
      expect(configured).toEqual([]);
      await own.apply(intent(1, remoteAccess("people")));
      expect(users(configured.at(-1))).toEqual(["alice@acme", "bob@acme"]);
      void own.refresh();
      refused.add("alice@acme");
      await own.admitAnew();
      expect(users(configured.at(-1))).toEqual(["bob@acme"]);
      refused.delete("alice@acme");
      await own.admitAnew();
      expect(users(configured.at(-1))).toEqual(["alice@acme", "bob@acme"]);
    } finally {
      own.close();
    }
  });
});
