import assert from "node:assert/strict";
import { IpAddress, Prefix } from "@sallyport/base";
import type { PolicySpec, SaSpec } from "../../types.js";
import { encryptionKey, freshReqid, installSas, integrityKey, makeSas, policiesFor } from "../kit.js";
import type { ComplianceCase, HostUnderTest, PairUnderTest } from "../types.js";
import { assertNothingClear } from "../wire.js";

async function sample(pair: PairUnderTest): Promise<SaSpec> {
  return (await makeSas(pair, freshReqid())).leftward.in;
}

interface Refusal {
  readonly why: string;
  readonly field: string;
  readonly change: Partial<SaSpec>;
}

const REFUSALS: readonly Refusal[] = [
  {
    why: "a key that is too short",
    field: "encryption.key",
    change: { encryption: { algorithm: "aes-gcm-16", key: new Uint8Array(19) } },
  },
  {
    why: "a key without its salt",
    field: "encryption.key",
    change: { encryption: { algorithm: "aes-gcm-16", key: new Uint8Array(16) } },
  },
  {
    why: "an integrity key of another algorithm's size",
    field: "integrity.key",
    change: {
      encryption: encryptionKey("aes-cbc"),
      integrity: { algorithm: "hmac-sha2-256-128", key: new Uint8Array(20) },
    },
  },
  {
    why: "an integrity algorithm beside an AEAD",
    field: "integrity",
    change: { integrity: integrityKey("hmac-sha2-256-128") },
  },
  {
    why: "an algorithm that nobody knows",
    field: "encryption.algorithm",
    change: { encryption: { algorithm: "rot13" as "null", key: new Uint8Array(16) } },
  },
  { why: "a reserved SPI", field: "spi", change: { spi: 255 } },
  { why: "a replay window that is too large", field: "replayWindow", change: { replayWindow: 5000 } },
];

/** A tunnel from one address that the left gateway has for it alone to the network at the right. */
async function ownAddress(pair: PairUnderTest) {
  const { left, right } = pair;
  const inner = IpAddress.parse("10.9.0.1");
  const mine = Prefix.of(inner, 32);
  const reqid = freshReqid();
  const address = { address: inner, prefixLength: 32 };
  const route = { destination: right.network[4], source: inner, via: right.outer[4] };
  const narrowed = (policy: PolicySpec): PolicySpec => {
    const { selector } = policy;
    const outward = selector.source.toString() === left.network[4].toString();
    return { ...policy, selector: outward ? { ...selector, source: mine } : { ...selector, destination: mine } };
  };
  await left.dataPlane.installAddress(address);
  await left.dataPlane.installRoute(route);
  await right.dataPlane.installRoute({ destination: mine, via: left.outer[4] });
  await Promise.all([
    ...policiesFor(left, right, reqid).map((policy) => left.dataPlane.installPolicy(narrowed(policy))),
    ...policiesFor(right, left, reqid).map((policy) => right.dataPlane.installPolicy(narrowed(policy))),
  ]);
  const { rightward, leftward } = await makeSas(pair, reqid);
  const [outward, inward] = [policiesFor(left, right, reqid)[0], policiesFor(left, right, reqid)[1]];
  assert.ok(outward && inward);
  const [there, here] = [[narrowed(outward).selector], [narrowed(inward).selector]];
  await installSas(pair, {
    rightward: { out: { ...rightward.out, selectors: there }, in: { ...rightward.in, selectors: there } },
    leftward: { out: { ...leftward.out, selectors: here }, in: { ...leftward.in, selectors: here } },
  });
  const takeAway = () => Promise.all([left.dataPlane.removeRoute(route), left.dataPlane.removeAddress(address)]);
  return { inner, rightward, takeAway };
}

export const entries: readonly ComplianceCase[] = [
  {
    name: "reserves distinct SPIs above the reserved ones",
    async run({ left, right }) {
      const request = {
        source: right.outer[4],
        destination: left.outer[4],
        protocol: "esp",
        mode: "tunnel",
        reqid: freshReqid(),
      } as const;
      const spis = await Promise.all(Array.from({ length: 50 }, () => left.dataPlane.allocateSpi(request)));
      assert.equal(new Set(spis).size, 50);
      for (const spi of spis) assert.ok(spi >= 256 && spi <= 0xffffffff && Number.isInteger(spi));
      assert.deepEqual(await left.dataPlane.listSas(), [], "a reservation is no SA");
    },
  },
  ...REFUSALS.map(
    ({ why, field, change }): ComplianceCase => ({
      name: `refuses ${why}, and names ${field}`,
      async run(pair) {
        const sa = { ...(await sample(pair)), ...change };
        await assert.rejects(pair.left.dataPlane.installSa(sa), { code: "dataplane/refused", field });
        assert.deepEqual(await pair.left.dataPlane.listSas(), []);
      },
    }),
  ),
  {
    name: "refuses an SA that is there already",
    async run(pair) {
      const sa = await sample(pair);
      await pair.left.dataPlane.installSa(sa);
      await assert.rejects(pair.left.dataPlane.installSa(sa), { code: "dataplane/refused", field: "spi" });
      assert.equal((await pair.left.dataPlane.listSas()).length, 1);
    },
  },
  {
    name: "refuses a policy that contradicts itself",
    async run({ left, right }) {
      const [policy] = policiesFor(left, right, freshReqid());
      assert.ok(policy?.template);
      const { template, ...bare } = policy;
      await assert.rejects(left.dataPlane.installPolicy(bare), { code: "dataplane/refused", field: "template" });
      const discarding: PolicySpec = { ...bare, action: "discard", template };
      await assert.rejects(left.dataPlane.installPolicy(discarding), { code: "dataplane/refused", field: "template" });
      assert.deepEqual(await left.dataPlane.listPolicies(), []);
    },
  },
  {
    name: "knows nothing of an SA that is not there",
    async run({ left }) {
      const id = { destination: left.outer[4], protocol: "esp", spi: 0x12345678 } as const;
      assert.equal(await left.dataPlane.querySa(id), undefined);
      await left.dataPlane.removeSa(id);
    },
  },
  {
    name: "uses a tunnel's own address, and takes it away again",
    async run(pair) {
      const { left, right } = pair;
      const { rightward, takeAway } = await ownAddress(pair);
      const ask = () => left.self.echo({ to: right.host.address[4], count: 3, waitMs: 200 });
      assert.deepEqual(await ask(), { sent: 3, received: 3 });
      assert.equal((await left.dataPlane.querySa(rightward.out))?.packets, 3n);
      await takeAway();
      await takeAway();
      await ask();
      assert.equal((await left.dataPlane.querySa(rightward.out))?.packets, 3n);
    },
  },
  {
    name: "hides a network behind a tunnel's own address, as long as it is told to",
    async run(pair) {
      const { left, right } = pair;
      const { rightward, inner } = await ownAddress(pair);
      const nat = { source: left.network[4], destination: right.network[4], to: inner };
      const ask = () => left.host.echo({ to: right.host.address[4], count: 3, waitMs: 200 });
      await left.dataPlane.installSourceNat(nat);
      await left.dataPlane.installSourceNat(nat);
      assert.deepEqual(await ask(), { sent: 3, received: 3 });
      assert.equal((await left.dataPlane.querySa(rightward.out))?.packets, 3n);
      await left.dataPlane.removeSourceNat(nat);
      await left.dataPlane.removeSourceNat(nat);
      await ask();
      assert.equal((await left.dataPlane.querySa(rightward.out))?.packets, 3n);
    },
  },
  {
    name: "holds a hidden network back while it has no address to hide behind, and nobody else",
    async run(pair) {
      const { left, right, wire } = pair;
      const hold = { source: left.network[4], destination: right.network[4] };
      const ask = (from = left.host) =>
        from.echo({ to: right.host.address[4], count: 3, fromPort: 40_404, waitMs: 200 });
      await left.dataPlane.installSourceNat(hold);
      await wire.capture();
      assert.deepEqual(await ask(), { sent: 3, received: 0 });
      assertNothingClear(await wire.captured());
      assert.deepEqual(await ask(left.self), { sent: 3, received: 3 });
      const { rightward, inner } = await ownAddress(pair);
      const nat = { ...hold, to: inner };
      await left.dataPlane.installSourceNat(nat);
      assert.deepEqual(await ask(), { sent: 3, received: 3 });
      assert.equal((await left.dataPlane.querySa(rightward.out))?.packets, 3n);
      await left.dataPlane.removeSourceNat(nat);
      await wire.capture();
      assert.deepEqual(await ask(), { sent: 3, received: 0 });
      assert.equal((await left.dataPlane.querySa(rightward.out))?.packets, 3n);
      assertNothingClear(await wire.captured());
      await left.dataPlane.removeSourceNat(hold);
    },
  },
  {
    name: "takes the address of a killed process over, and its source NAT away",
    applies: ({ left }) => left.dataPlane.capabilities.name === "kernel",
    async run(pair) {
      const { left, right } = pair;
      const { rightward, inner, takeAway } = await ownAddress(pair);
      await left.dataPlane.installSourceNat({ source: left.network[4], destination: right.network[4], to: inner });
      const ask = (from: HostUnderTest) => from.echo({ to: right.host.address[4], count: 3, waitMs: 200 });
      assert.deepEqual(await ask(left.host), { sent: 3, received: 3 });
      await left.crash();
      const { addresses } = await left.dataPlane.adopt();
      assert.deepEqual(
        addresses.map((a) => `${a.address}/${a.prefixLength}`),
        [`${inner}/32`],
      );
      assert.deepEqual(await ask(left.self), { sent: 3, received: 3 });
      assert.equal((await left.dataPlane.querySa(rightward.out))?.packets, 6n);
      await ask(left.host);
      assert.equal((await left.dataPlane.querySa(rightward.out))?.packets, 6n);
      await takeAway();
    },
  },
  {
    name: "flushes its own entries and leaves those of others",
    applies: ({ left }) => left.foreign !== undefined,
    async run(pair) {
      const { left, right } = pair;
      const foreign = left.foreign;
      assert.ok(foreign);
      await foreign.add();
      try {
        const before = await foreign.count();
        assert.ok(before > 0);
        assert.deepEqual(await left.dataPlane.listSas(), []);
        await left.dataPlane.installSa(await sample(pair));
        for (const policy of policiesFor(left, right, freshReqid())) await left.dataPlane.installPolicy(policy);
        assert.equal((await left.dataPlane.listPolicies()).length, 3);
        await left.dataPlane.flush();
        assert.deepEqual(await left.dataPlane.listSas(), []);
        assert.deepEqual(await left.dataPlane.listPolicies(), []);
        assert.equal(await foreign.count(), before);
      } finally {
        await foreign.remove();
      }
    },
  },
];
