import assert from "node:assert/strict";
import { Prefix } from "@sallyport/base";
import type { PolicySpec } from "../../types.js";
import {
  freshReqid,
  installPolicies,
  installRoutes,
  installSas,
  makeSas,
  openTunnel,
  policiesFor,
  removeSas,
  selectorOf,
} from "../kit.js";
import { type ComplianceCase, ECHO_PORTS, type PairUnderTest } from "../types.js";
import { assertNothingClear, parseOuter } from "../wire.js";

const [PORT, OTHER_PORT] = ECHO_PORTS;

const echo = (pair: PairUnderTest, toPort: number = PORT, count = 3) =>
  pair.left.host.echo({ to: pair.right.host.address[4], toPort, count, waitMs: 200 });

function plain(pair: PairUnderTest, action: "discard" | "none", priority: number, port?: number): PolicySpec[] {
  const options = port === undefined ? {} : { selector: { protocol: 17, destinationPort: port } };
  const { left, right } = pair;
  const [outward, arriving] = [selectorOf(left, right, options), selectorOf(right, left, options)];
  return [
    { direction: "out", selector: outward, action, priority },
    { direction: "in", selector: arriving, action, priority },
    { direction: "fwd", selector: arriving, action, priority },
  ];
}

const putLeft = (pair: PairUnderTest, policies: readonly PolicySpec[]) =>
  Promise.all(policies.map((policy) => pair.left.dataPlane.installPolicy(policy)));

const acquires = (pair: PairUnderTest) => pair.left.events.filter((event) => event.on === "acquire");

export const policies: readonly ComplianceCase[] = [
  {
    name: "asks for an SA with the packet's own selector, and lets nothing out in the clear",
    async run(pair) {
      const { left, right, wire } = pair;
      const reqid = freshReqid();
      await Promise.all([installPolicies(pair, reqid), installRoutes(pair)]);
      await wire.capture();
      const to = right.host.address[4];
      assert.equal((await left.host.echo({ to, fromPort: 5555, count: 4, waitMs: 100 })).received, 0);
      const event = await left.event((seen) => seen.on === "acquire");
      assertNothingClear(await wire.captured());
      assert.equal(event.reqid, reqid);
      assert.equal(event.selector.source.toString(), `${left.host.address[4]}/32`);
      assert.equal(event.selector.destination.toString(), `${to}/32`);
      assert.deepEqual(
        [event.selector.protocol, event.selector.sourcePort, event.selector.destinationPort],
        [17, 5555, PORT],
      );
      const { template } = event;
      assert.deepEqual([template.protocol, template.mode, template.level], ["esp", "tunnel", "require"]);
      assert.ok(template.source.equals(left.outer[4]) && template.destination.equals(right.outer[4]));
      assert.equal(acquires(pair).length, 1, "one question is enough for packets of one flow");
    },
  },
  {
    name: "carries traffic once the SA that was asked for is there",
    async run(pair) {
      const reqid = freshReqid();
      await Promise.all([installPolicies(pair, reqid), installRoutes(pair)]);
      await echo(pair, PORT, 1);
      await pair.left.event((seen) => seen.on === "acquire");
      await installSas(pair, await makeSas(pair, reqid));
      assert.equal((await echo(pair)).received, 3);
    },
  },
  {
    name: "discards what a policy says",
    async run(pair) {
      await openTunnel(pair);
      await putLeft(pair, plain(pair, "discard", 500));
      assert.equal((await echo(pair)).received, 0);
      assert.equal(acquires(pair).length, 0);
      const { selector } = plain(pair, "discard", 500)[0] as PolicySpec;
      // A selector names one policy: the tunnel's was replaced.
      assert.equal((await pair.left.dataPlane.listPolicies()).filter((p) => p.direction === "out").length, 1);
      await pair.left.dataPlane.removePolicy("out", selector);
      await pair.left.dataPlane.removePolicy("out", selector);
      assert.equal((await pair.left.dataPlane.listPolicies()).filter((p) => p.direction === "out").length, 0);
    },
  },
  {
    name: "takes the policy of the lowest priority value",
    async run(pair) {
      await openTunnel(pair, { priority: 1000 });
      await putLeft(pair, plain(pair, "discard", 2000, OTHER_PORT));
      assert.equal((await echo(pair, OTHER_PORT)).received, 3, "2000 must not come before 1000");
      await putLeft(pair, plain(pair, "discard", 10, OTHER_PORT));
      assert.equal((await echo(pair, OTHER_PORT)).received, 0);
      assert.equal((await echo(pair, PORT)).received, 3);
    },
  },
  {
    name: "sends in the clear what a policy exempts",
    async run(pair) {
      const { left, right, wire } = pair;
      await openTunnel(pair);
      await putLeft(pair, plain(pair, "none", 10, OTHER_PORT));
      const arriving = { ...selectorOf(left, right, {}), protocol: 17, destinationPort: OTHER_PORT };
      const leaving = { ...selectorOf(right, left, {}), protocol: 17, sourcePort: OTHER_PORT };
      await Promise.all([
        right.dataPlane.installPolicy({ direction: "fwd", selector: arriving, action: "none", priority: 10 }),
        right.dataPlane.installPolicy({ direction: "out", selector: leaving, action: "none", priority: 10 }),
      ]);
      await wire.capture();
      assert.equal((await echo(pair, OTHER_PORT)).received, 3);
      const clear = (await wire.captured()).map(parseOuter).filter((packet) => packet.spi === undefined && packet.udp);
      assert.equal(clear.length, 6);
      await wire.capture();
      assert.equal((await echo(pair, PORT)).received, 3);
      assertNothingClear(await wire.captured());
    },
  },
  {
    name: "with level use: in the clear and without asking until there is an SA",
    async run(pair) {
      const { wire } = pair;
      const reqid = freshReqid();
      await Promise.all([installPolicies(pair, reqid, { level: "use" }), installRoutes(pair)]);
      assert.equal((await echo(pair)).received, 3);
      assert.equal(acquires(pair).length, 0);
      const sas = await makeSas(pair, reqid);
      await installSas(pair, sas);
      await wire.capture();
      assert.equal((await echo(pair)).received, 3);
      assertNothingClear(await wire.captured());
      const levels = (await pair.left.dataPlane.listPolicies()).map((policy) => policy.template?.level);
      assert.deepEqual(levels, ["use", "use", "use"]);
      await removeSas(pair, sas);
      assert.equal((await echo(pair)).received, 3);
      assert.equal(acquires(pair).length, 0);
    },
  },
  {
    name: "uses no SA of another reqid",
    async run(pair) {
      const tunnel = await openTunnel(pair, { level: "unique" });
      assert.equal((await echo(pair)).received, 3);
      await removeSas(pair, tunnel);
      await installSas(pair, await makeSas(pair, freshReqid()));
      assert.equal((await echo(pair)).received, 0);
      const event = await pair.left.event((seen) => seen.on === "acquire");
      assert.deepEqual([event.reqid, event.template.level], [tunnel.reqid, "unique"]);
    },
  },
  {
    name: "drops packets that came in the clear and should not have",
    async run(pair) {
      const { left, right } = pair;
      const reqid = freshReqid();
      await installRoutes(pair);
      await Promise.all(policiesFor(right, left, reqid).map((policy) => right.dataPlane.installPolicy(policy)));
      await putLeft(pair, plain(pair, "none", 10));
      const before = await right.dataPlane.statistics();
      assert.equal((await echo(pair)).received, 0);
      const after = await right.dataPlane.statistics();
      const dropped = (name: string) => (after[name] ?? 0n) - (before[name] ?? 0n);
      assert.equal(dropped("in-template-mismatches") + dropped("in-no-states"), 3n);
    },
  },
  {
    name: "drops packets that came by an SA whose policy does not cover them",
    async run(pair) {
      const { left, right } = pair;
      const reqid = freshReqid();
      const narrow = { selector: { protocol: 17, destinationPort: PORT } };
      await installRoutes(pair);
      await Promise.all([
        ...policiesFor(left, right, reqid).map((policy) => left.dataPlane.installPolicy(policy)),
        ...policiesFor(right, left, reqid, narrow).map((policy) => right.dataPlane.installPolicy(policy)),
      ]);
      const sas = await makeSas(pair, reqid, narrow);
      const wide = await makeSas(pair, reqid);
      await installSas(pair, {
        rightward: { out: { ...sas.rightward.out, selectors: wide.rightward.out.selectors }, in: sas.rightward.in },
        leftward: { out: sas.leftward.out, in: { ...sas.leftward.in, selectors: wide.leftward.in.selectors } },
      });
      assert.equal((await echo(pair, PORT)).received, 3);
      assert.equal((await echo(pair, OTHER_PORT)).received, 0);
      assert.equal((await right.dataPlane.querySa(sas.rightward.in))?.integrityFailures, 0);
    },
  },
  {
    name: "lets IKE pass whatever the policies say",
    applies: ({ left }) => left.ike !== undefined,
    async run({ left, right }) {
      const [here, there] = [left.outer[4], right.outer[4]].map((address) => Prefix.of(address, 32));
      assert.ok(here && there);
      const [outward, inward] = [
        { source: here, destination: there, protocol: 0 },
        { source: there, destination: here, protocol: 0 },
      ];
      const shut = (gateway: typeof left, leaving: typeof outward, arriving: typeof outward) => [
        gateway.dataPlane.installPolicy({ direction: "out", selector: leaving, action: "discard", priority: 1 }),
        gateway.dataPlane.installPolicy({ direction: "in", selector: arriving, action: "discard", priority: 1 }),
      ];
      await Promise.all([...shut(left, outward, inward), ...shut(right, inward, outward)]);
      assert.equal((await left.self.echo({ to: right.outer[4], count: 2, waitMs: 200 })).received, 0);
      assert.equal(await left.ike?.(right.outer[4]), true);
    },
  },
  {
    name: "replaces a policy without a gap",
    async run(pair) {
      const { left } = pair;
      const tunnel = await openTunnel(pair);
      const policies = policiesFor(left, pair.right, tunnel.reqid);
      const traffic = left.host.echo({ to: pair.right.host.address[4], count: 100, intervalMs: 3 });
      for (let i = 0; i < 10; i++) {
        await putLeft(
          pair,
          policies.map((policy) => ({ ...policy, priority: 1000 + i })),
        );
      }
      assert.deepEqual(await traffic, { sent: 100, received: 100 });
      const priorities = (await left.dataPlane.listPolicies()).map((policy) => policy.priority);
      assert.deepEqual(priorities, [1009, 1009, 1009]);
    },
  },
  {
    name: "lists policies as they were installed",
    async run(pair) {
      const { left, right } = pair;
      const wanted: PolicySpec[] = [
        ...policiesFor(left, right, freshReqid(), { level: "unique", priority: 7 }),
        ...policiesFor(left, right, freshReqid(), { inner: 6, selector: { protocol: 6, sourcePort: 179 } }),
        ...plain(pair, "discard", 4_000_000_000, 53),
        {
          direction: "out",
          action: "none",
          priority: 1,
          selector: {
            source: Prefix.any(4),
            destination: Prefix.any(4),
            protocol: 1,
            sourcePort: 8,
            destinationPort: 0,
          },
        },
      ];
      await putLeft(pair, wanted);
      const sorted = (policies: readonly PolicySpec[]) =>
        policies.map((policy) => JSON.stringify(inOrder(policy))).sort();
      assert.deepEqual(sorted(await left.dataPlane.listPolicies()), sorted(wanted));
    },
  },
];

/** The same members in the same order. */
function inOrder(policy: PolicySpec) {
  const { direction, action, priority, selector, template } = policy;
  const { source, destination, protocol, sourcePort, destinationPort, sourcePortBits, destinationPortBits } = selector;
  return {
    direction,
    action,
    priority,
    selector: { source, destination, protocol, sourcePort, destinationPort, sourcePortBits, destinationPortBits },
    template: template && {
      source: template.source,
      destination: template.destination,
      protocol: template.protocol,
      mode: template.mode,
      reqid: template.reqid,
      level: template.level,
    },
  };
}
