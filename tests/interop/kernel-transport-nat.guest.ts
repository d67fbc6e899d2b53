import type { ConnectionIntent } from "@sallyport/intent";
import { endProcess, ping } from "@sallyport/testkit";
import { againstStrongswan } from "./daemons.js";
import { connectionIntent, gatewayIntent, type Pair, peerConnection, type TunnelCase } from "./lab.js";
import { STARTED_BY, scenario } from "./scenario.js";
import { COMMON, NS, OURS, PUBLIC, SECRETS, THEIRS, TOPOLOGY, translate } from "./squeezing-lab.js";
import { startTcpServer, transfer } from "./tcp-lab.js";

/** Transport mode with NATs on the way (RFC 7296 §2.23.1): TCP's checksums are those of the addresses before the NAT. */
const TUNNEL: TunnelCase = { ...COMMON, id: "carried" };
const PORT = 7000;

const lab = againstStrongswan({ ours: NS.ours, theirs: NS.theirs }, TOPOLOGY).forEachTest();

const END = {
  ours: { namespace: NS.ours, address: OURS.address, router: "near" },
  theirs: { namespace: NS.theirs, address: THEIRS.address, router: "far" },
} as const;
const OTHER = { ours: "theirs", theirs: "ours" } as const;

interface Way {
  readonly hidden: readonly ("ours" | "theirs")[];
  readonly by: "ours" | "theirs";
}

/** Both ends, of which `by` calls the other where it can be reached. */
async function connect({ hidden, by }: Way): Promise<{ pair: Pair; at: string }> {
  for (const end of hidden) await translate(END[end].router, END[end].address);
  const at = (end: "ours" | "theirs") => (hidden.includes(end) ? PUBLIC[END[end].router] : END[end].address);
  const theirs = peerConnection(TUNNEL);
  const connection = {
    ...theirs,
    localAddress: "%any",
    remoteAddress: by === "ours" ? "%any" : at("ours"),
    children: theirs.children.map(
      (c) => ({ ...c, mode: "transport", localTs: ["dynamic"], remoteTs: ["dynamic"] }) as const,
    ),
  };
  const ours = connectionIntent(TUNNEL);
  const ports = { ike: 500, natt: 4500 };
  const intent: ConnectionIntent = {
    ...ours,
    role: by === "ours" ? "both" : "responder",
    remote: by === "ours" ? { host: at("theirs"), ports } : { ports },
    children: ours.children.map((c) => ({ ...c, mode: "transport", localSubnets: [], remoteSubnets: [] })),
  };
  const pair = await lab.start({
    peer: { secrets: SECRETS, connections: [connection] },
    agent: { intent: { ...gatewayIntent(OURS.name, [TUNNEL]), connections: [intent] } },
  });
  await pair.up(TUNNEL, by);
  return { pair, at: at(OTHER[by]) };
}

const WAYS: readonly (Way & { readonly name: string })[] = (["ours", "theirs"] as const).flatMap((by) => [
  { by, hidden: [by], name: "a NAT before the initiator" },
  { by, hidden: [OTHER[by]], name: "a NAT before the responder" },
  { by, hidden: ["ours", "theirs"], name: "a NAT before either" },
]);

for (const { by, hidden, name } of WAYS) {
  scenario(
    { proves: [5, 17], role: STARTED_BY[by] },
    `transport mode, ${name}, started by ${by}: pings and TCP pass, and after a rekey`,
    async () => {
      const { pair, at } = await connect({ by, hidden });
      const { ours, child } = await pair.both(TUNNEL);
      expect([child.ours.mode, child.theirs.mode]).toEqual(["transport", "TRANSPORT"]);
      expect([child.ours.encapsulated, child.theirs.encapsulated]).toEqual([true, true]);
      expect(ours.nat).toMatchObject({ local: hidden.includes("ours"), remote: hidden.includes("theirs") });
      const caller = END[by];
      const server = await startTcpServer(END[OTHER[by]].namespace, PORT);
      const tcp = { namespace: caller.namespace, from: caller.address, to: at, port: PORT, octets: 50_000 };
      try {
        expect(await ping(caller.namespace, at, { count: 5 })).toMatchObject({ received: 5 });
        expect(await transfer(tcp)).toBe(50_000);
        await pair.settled(TUNNEL, (ends) => ends.child.theirs.bytesIn > 50_000 && ends.child.theirs.bytesOut > 50_000);
        await pair.rekey(TUNNEL, "child", by);
        await pair.settled(TUNNEL, (ends) => ends.child.ours.spiIn !== child.ours.spiIn);
        expect(await transfer(tcp)).toBe(50_000);
      } finally {
        await endProcess(server, "SIGKILL");
      }
    },
    120_000,
  );
}
