import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { Vault } from "../src/platform/vault/vault.js";
import { query } from "./database.js";
import { RotationWorld, type ShownRotation } from "./rotation-world.js";

// Many rotations, on machines that do other things too.
let fleet: RotationWorld;
beforeAll(async () => {
  fleet = await RotationWorld.start(2, "CERTIFICATE");
});
afterAll(() => fleet?.close());

const hub = () => fleet.tunnels[0]?.right ?? "";
const STEPS = ["introduce", "switch", "prove", "retire"];

describe.each([
  ["GATEWAY_CERTIFICATE", "GATEWAY_IDENTITY"],
  ["AGENT_CERTIFICATE", "CONTROL_CHANNEL"],
] as const)("%s", (kind, purpose) => {
  const start = (input: object = {}) => fleet.rotate({ gatewayIds: [hub()], ...input }, kind);

  /** The gateway has one certificate, which is in use. */
  async function settled(): Promise<string> {
    const good = await fleet.certificatesOf(hub(), purpose);
    const shown = good[0] ?? "";
    expect(good).toEqual([shown]);
    expect(fleet.broken).toEqual([]);
    if (purpose === "GATEWAY_IDENTITY") {
      expect(fleet.agents.get(hub())?.intent?.certificate?.fingerprint).toBe(shown);
      for (const { key, left } of fleet.tunnels) expect(fleet.agents.get(left)?.proven.get(key)).toBe(shown);
    }
    return shown;
  }

  test("a new key at the gateway takes the old one's place, which is revoked", async () => {
    const before = await settled();
    const begun = await start();
    expect(begun.plan.map(({ name, reversible }) => [name, reversible])).toEqual([
      ["introduce", true],
      ["switch", false],
      ["prove", false],
      ["retire", false],
    ]);
    const done = await fleet.finish(begun.id);
    expect(done).toMatchObject({ kind, state: "DONE", failure: null, progress: { done: 1 } });
    expect(done.history.edges.map(({ node }) => [node.what, node.step].filter(Boolean).join(" "))).toEqual([
      "requested",
      "begun",
      ...STEPS.flatMap((step) => [`performed ${step}`, `confirmed ${step}`]),
      "done",
    ]);
    const after = await settled();
    expect(after).not.toBe(before);
    if (purpose === "CONTROL_CHANNEL") expect(await fleet.sessionOf(hub())).toBe(after);
  });

  test("killed at every point that it comes by, it ends right, forwards and backwards", async () => {
    const before = await settled();
    const forward = await start();
    fleet.dieAt("every");
    expect(await fleet.finish(forward.id)).toMatchObject({ state: "DONE" });
    const died = fleet.dieAt(new Set());
    for (const step of STEPS) {
      for (const when of ["before", "after"]) {
        expect(died).toContain(`${when} ${step} perform`);
        expect(died).toContain(`${when}  change performed ${step}`);
        expect(died).toContain(`${when}  change confirmed ${step}`);
      }
    }
    const after = await settled();
    expect(after).not.toBe(before);

    const backward = await start();
    fleet.dieAt(new Set(["after introduce perform"]));
    await fleet.turn();
    expect(await fleet.certificatesOf(hub(), purpose)).toHaveLength(2);
    await fleet.steer("abort", backward.id);
    fleet.dieAt("every");
    expect(await fleet.finish(backward.id)).toMatchObject({ state: "ABORTED", progress: { rolledBack: 1 } });
    expect(fleet.dieAt(new Set())).toEqual(expect.arrayContaining(["before undo perform", "after undo perform"]));
    expect(await settled()).toBe(after);
  });

  test("an abort after the switch finishes", async () => {
    const before = await settled();
    const { id } = await start();
    for (let turns = 0; turns < 20 && (await fleet.certificatesOf(hub(), purpose))[0] === before; turns++) {
      fleet.dieAt(new Set(["after switch perform"]));
      await fleet.turn();
    }
    fleet.dieAt(new Set());
    await fleet.steer("abort", id);
    expect(await fleet.finish(id)).toMatchObject({ state: "ABORTED", progress: { done: 1 } });
    expect(await settled()).not.toBe(before);
  });

  test("all gateways go in batches, and each tells its tunnels", async () => {
    const { id } = await fleet.rotate({ batch: 2 }, kind);
    const asked = "query ($id: ID!) { rotation(id: $id) { items { edges { node { subjectId tunnels } } } } }";
    const { rotation } = await fleet.cp.get<{ rotation: ShownRotation }>(asked, { id });
    const node = rotation.items.edges.find((edge) => edge.node.subjectId === hub())?.node;
    expect(node?.tunnels).toHaveLength(purpose === "GATEWAY_IDENTITY" ? 2 : 0);
    expect(await fleet.finish(id)).toMatchObject({ state: "DONE", progress: { total: 3, done: 3 } });
    await settled();
  });
});

describe.each(["ISSUING_AUTHORITY", "ROOT_AUTHORITY"] as const)("%s", (kind) => {
  const authorities = async () =>
    await query(
      fleet.cp.connection,
      `SELECT id, level, retired_at IS NOT NULL AS retired, distrusted_at IS NOT NULL AS distrusted,
         cross_certificate IS NOT NULL AS crossed, standby, list_number AS lists
       FROM certificate_authorities WHERE purpose = 'GATEWAY_IDENTITY' ORDER BY id`,
    );

  /** Every gateway shows one certificate, of the one CA that issues, and trusts the roots that stand. */
  async function settled(): Promise<Record<string, unknown>> {
    const all = await authorities();
    const issuing = all.filter((a) => a.level === "ISSUING" && !a.retired);
    expect(issuing).toEqual([expect.objectContaining({ standby: false, crossed: false })]);
    const roots = all.filter((a) => a.level === "ROOT" && !a.distrusted).map((a) => a.id);
    expect(roots).toHaveLength(1);
    for (const [id, { intent }] of fleet.agents) {
      expect(intent?.trustAnchors.map((anchor) => anchor.id)).toEqual(roots);
      const [shown, ...others] = await fleet.certificatesOf(id, "GATEWAY_IDENTITY");
      expect(others).toEqual([]);
      expect(intent?.certificate?.fingerprint).toBe(shown);
      expect(await fleet.issuerOf(shown ?? "")).toBe(issuing[0]?.id);
    }
    expect(fleet.broken).toEqual([]);
    return issuing[0] ?? {};
  }

  test("gateways are moved in batches, and the old one stops issuing but not telling; killed at every point, forwards and backwards", async () => {
    const before = await settled();
    const begun = await fleet.rotate({ batch: 2 }, kind);
    expect(begun.plan.map(({ name, reversible }) => [name, reversible])).toEqual([
      ["introduce", true],
      ["switch", false],
      ["reissue", false],
      ["retire", false],
    ]);
    fleet.dieAt("every");
    expect(await fleet.finish(begun.id)).toMatchObject({ kind, state: "DONE", failure: null });
    const died = fleet.dieAt(new Set());
    for (const step of ["introduce", "switch", "reissue", "retire"]) {
      for (const when of ["before", "after"]) {
        expect(died).toContain(`${when} ${step} perform`);
        expect(died).toContain(`${when}  change performed ${step}`);
        expect(died).toContain(`${when}  change confirmed ${step}`);
      }
    }
    const after = await settled();
    expect(after.id).not.toBe(before.id);
    const old = (await authorities()).find(({ id }) => id === before.id);
    expect(old).toMatchObject({ retired: true, lists: expect.not.stringMatching(/^0$/) });
    const parts = await query(
      fleet.cp.connection,
      `SELECT r.kind, r.state, r.batch FROM rotations r JOIN rotation_items i ON r.part_of_id = i.id WHERE i.rotation_id = $1`,
      [begun.id],
    );
    expect(parts).toEqual([{ kind: "GATEWAY_CERTIFICATE", state: "DONE", batch: 2 }]);

    const backward = await fleet.rotate({}, kind);
    fleet.dieAt(new Set(["after introduce perform"]));
    await fleet.turn();
    await fleet.steer("abort", backward.id);
    fleet.dieAt("every");
    expect(await fleet.finish(backward.id)).toMatchObject({ state: "ABORTED", progress: { rolledBack: 1 } });
    fleet.dieAt(new Set());
    await fleet.everybody();
    expect((await settled()).id).toBe(after.id);
  });
});

test.each([
  ["GATEWAY_CERTIFICATE", "hub"],
  ["GATEWAY_CERTIFICATE", "spokes"],
  ["ROOT_AUTHORITY", "spokes"],
] as const)(
  "%s of both ends of a tunnel at once, the %s slow to switch: who was not proven by the first authentication soon is",
  async (kind, slow) => {
    const isSlow = (id: string) => (id === hub()) === (slow === "hub");
    fleet.handshakeTurns = 3;
    const { id } = await fleet.rotate({ batch: 3 }, kind);
    let state = "RUNNING";
    let turns = 0;
    for (; state === "RUNNING" && turns < 60; turns++) {
      await fleet.turn();
      // Who is slow switches when the authentication that the others have asked for has begun.
      const late = fleet.authenticates || turns % 8 === 7;
      for (const gateway of fleet.agents.keys()) if (!isSlow(gateway) || late) await fleet.take(gateway);
      // The driver looks twice a second.
      await fleet.pass(0.5);
      ({ state } = await fleet.shown(id));
    }
    fleet.handshakeTurns = 0;
    expect(await fleet.finish(id)).toMatchObject({ state: "DONE" });
    expect(turns).toBeLessThan(60);
    expect(fleet.broken).toEqual([]);
  },
);

test("the master key: what another one sealed is sealed again, table by table, killed at every point", async () => {
  const stale = () => query(fleet.cp.connection, "SELECT 1 FROM intent_revisions WHERE key_id = 'other'");
  // The same key by another name: what is sealed can still be opened.
  const vault = fleet.cp.application.nest.get(Vault, { strict: false });
  jest.spyOn(vault, "unseal").mockImplementation(function (this: Vault, place, sealed) {
    return Vault.prototype.unseal.call(this, place, { ...sealed, keyId: this.keyId });
  });
  await query(fleet.cp.connection, "UPDATE intent_revisions SET key_id = 'other'");
  const { id, items } = await fleet.rotate({}, "MASTER_KEY");
  expect(items.edges.map(({ node }) => node.name)).toEqual(["IntentRevision"]);
  fleet.dieAt("every");
  expect(await fleet.finish(id)).toMatchObject({ state: "DONE", progress: { done: 1 } });
  expect(fleet.dieAt(new Set())).toEqual(expect.arrayContaining(["before reseal perform", "after reseal perform"]));
  expect(await stale()).toEqual([]);
  const { errors } = await fleet.cp.send("mutation { rotateMasterKey(input: {}) { id } }");
  expect(errors?.[0]?.extensions.code).toBe("rotation/nothing-to-do");
});
