import assert from "node:assert/strict";
import type { PolicySpec } from "../../types.js";
import { openTunnel, selectorOf } from "../kit.js";
import { type ComplianceCase, ECHO_PORTS, type PairUnderTest } from "../types.js";

const [PORT, OTHER_PORT] = ECHO_PORTS;
/** 7008 to 7039: the other port of the hosts is in it, the first one just before it. */
const BLOCK = { destinationPort: 7008, destinationPortBits: 11 } as const;

const echo = (pair: PairUnderTest, toPort: number) =>
  pair.left.host.echo({ to: pair.right.host.address[4], toPort, count: 3, waitMs: 200 });

function discard(pair: PairUnderTest, selector: NonNullable<Parameters<typeof selectorOf>[2]["selector"]>): PolicySpec {
  const { left, right } = pair;
  return { direction: "out", selector: selectorOf(left, right, { selector }), action: "discard", priority: 10 };
}

/** Protocols and ports in selectors (POL-04, POL-05). */
export const selectors: readonly ComplianceCase[] = [
  {
    name: "matches a block of ports and no port beside it",
    async run(pair) {
      await openTunnel(pair);
      const policy = discard(pair, { protocol: 17, ...BLOCK });
      await pair.left.dataPlane.installPolicy(policy);
      assert.equal((await echo(pair, OTHER_PORT)).received, 0);
      assert.equal((await echo(pair, PORT)).received, 3);
      await pair.left.dataPlane.removePolicy("out", { ...policy.selector, destinationPortBits: undefined });
      assert.equal((await echo(pair, OTHER_PORT)).received, 0, "another selector's policy was removed");
      await pair.left.dataPlane.removePolicy("out", policy.selector);
      assert.equal((await echo(pair, OTHER_PORT)).received, 3);
    },
  },
  {
    name: "carries a block of ports through a tunnel of its own, and lists it as it is",
    async run(pair) {
      await openTunnel(pair, { selector: { protocol: 17, ...BLOCK } });
      assert.equal((await echo(pair, OTHER_PORT)).received, 3);
      const listed = await pair.left.dataPlane.listPolicies();
      const out = listed.find((p) => p.direction === "out");
      assert.deepEqual([out?.selector.destinationPort, out?.selector.destinationPortBits], [7008, 11]);
      const back = listed.find((p) => p.direction === "fwd");
      assert.deepEqual([back?.selector.sourcePort, back?.selector.sourcePortBits], [7008, 11]);
    },
  },
  {
    name: "shuts off a network that no tunnel leads to, and only what the selector names of it",
    async run(pair) {
      assert.equal((await echo(pair, PORT)).received, 3, "the hosts reach each other in clear");
      const policy = discard(pair, { protocol: 17, destinationPort: OTHER_PORT });
      await pair.left.dataPlane.installPolicy(policy);
      assert.equal((await echo(pair, OTHER_PORT)).received, 0);
      assert.equal((await echo(pair, PORT)).received, 3);
      await pair.left.dataPlane.removePolicy("out", policy.selector);
      assert.equal((await echo(pair, OTHER_PORT)).received, 3);
    },
  },
  {
    name: "tells protocols apart",
    async run(pair) {
      await openTunnel(pair);
      await pair.left.dataPlane.installPolicy(discard(pair, { protocol: 6 }));
      assert.equal((await echo(pair, PORT)).received, 3);
      await pair.left.dataPlane.installPolicy(discard(pair, { protocol: 17 }));
      assert.equal((await echo(pair, PORT)).received, 0);
    },
  },
];
