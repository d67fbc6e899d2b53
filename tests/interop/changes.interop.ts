import { type ConnectionIntent, Secret } from "@sallyport/intent";
import { PolicyLab, policyCase } from "./policy-lab.js";
import { scenario } from "./scenario.js";

const T = {
  steady: policyCase(1, "steady"),
  changing: policyCase(13, "changing", { child: { startAction: "start" } }),
};
const lab = new PolicyLab("changes", T);

describe("a changed configuration, with traffic through a tunnel that it does not concern", () => {
  const changing = (change: (c: ConnectionIntent) => ConnectionIntent) =>
    lab.intent((c) => (c.id === T.changing.id ? change(c) : c));
  const secret = (text: string) => ({ keyId: "next", secret: new Secret(text) });

  scenario(
    { proves: [1, 31] },
    "loses none of its packets: another key, other selectors, other proposals, a tunnel less, and back",
    async () => {
      await lab.pair.up(T.steady, "ours");
      const before = await lab.pair.both(T.steady);
      await lab.pair.both(T.changing);
      const ping = await lab.pair.during(T.steady, async () => {
        const key = "another key";
        await lab.peer.load({ secrets: [{ owners: [T.changing.theirs.name, T.changing.ours.name], secret: key }] });
        await lab.peer.unload(T.changing.id);
        await lab.agent.change({
          intent: changing((c) => ({
            ...c,
            local: { ...c.local, method: "psk", ...secret(key) },
            peer: { ...c.peer, method: "psk", ...secret(key) } as ConnectionIntent["peer"],
          })),
        });
        await lab.foundDead(T.changing);
        await lab.agent.change({ intent: lab.intent() });
        await lab.peer.clearCredentials();
        await lab.peer.load({ secrets: lab.secrets() });
        await lab.peer.load({ connections: [lab.theirs(T.changing)] });
        await lab.pair.both(T.changing);
        await lab.agent.change({
          intent: changing((c) => ({ ...c, ikeProposals: ["aes256-sha256-x25519", "aes128-sha256-x25519"] })),
        });
        await lab.pair.both(T.changing);
        await lab.agent.change({
          intent: changing((c) => ({
            ...c,
            children: c.children.map((x) => ({ ...x, localSubnets: ["10.1.13.0/25"] })),
          })),
        });
        await lab.pair.settled(T.changing, ({ child }) => child.theirs.remoteTs[0] === "10.1.13.0/25");
        const less = lab.intent();
        const connections = less.connections.filter((c) => c.id !== T.changing.id);
        await lab.agent.change({ intent: { ...less, connections } });
        await lab.agent.change({ intent: lab.intent() });
        await lab.pair.both(T.changing);
      });
      expect(ping.sent).toBeGreaterThan(100);
      expect(ping).toMatchObject({ lossPct: 0 });
      const after = await lab.pair.both(T.steady);
      expect(after.child.ours.spiIn).toBe(before.child.ours.spiIn);
      expect(after.ours.spiInitiator).toBe(before.ours.spiInitiator);
    },
    120_000,
  );
});
