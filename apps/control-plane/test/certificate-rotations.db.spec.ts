import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { Vault } from "../src/platform/vault/vault.js";
import { query } from "./database.js";
import { RotationWorld } from "./rotation-world.js";

// Many rotations, on machines that do other things too.
jest.setTimeout(120_000);

let world: RotationWorld;
beforeAll(async () => {
  world = await RotationWorld.start(2, "CERTIFICATE");
}, 60_000);
afterAll(() => world?.close());

const hub = () => world.tunnels[0]?.right ?? "";
const STEPS = ["introduce", "switch", "prove", "retire"];

describe.each([
  ["GATEWAY_CERTIFICATE", "GATEWAY_IDENTITY"],
  ["AGENT_CERTIFICATE", "CONTROL_CHANNEL"],
] as const)("%s", (kind, purpose) => {
  const start = (input: object = {}) => world.rotate({ gatewayIds: [hub()], ...input }, kind);

  /** The gateway has one certificate, which is in use. */
  async function settled(): Promise<string> {
    const good = await world.certificatesOf(hub(), purpose);
    const shown = good[0] ?? "";
    expect(good).toEqual([shown]);
    expect(world.broken).toEqual([]);
    if (purpose === "GATEWAY_IDENTITY") {
      expect(world.agents.get(hub())?.intent?.certificate?.fingerprint).toBe(shown);
      for (const { key, left } of world.tunnels) expect(world.agents.get(left)?.proven.get(key)).toBe(shown);
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
    const done = await world.finish(begun.id);
    expect(done).toMatchObject({ kind, state: "DONE", failure: null, progress: { done: 1 } });
    expect(done.history.edges.map(({ node }) => [node.what, node.step].filter(Boolean).join(" "))).toEqual([
      "requested",
      "begun",
      ...STEPS.flatMap((step) => [`performed ${step}`, `confirmed ${step}`]),
      "done",
    ]);
    const after = await settled();
    expect(after).not.toBe(before);
    if (purpose === "CONTROL_CHANNEL") expect(await world.sessionOf(hub())).toBe(after);
  });

  test("killed at every point that it comes by, it ends right, forwards and backwards", async () => {
    const before = await settled();
    const forward = await start();
    world.dieAt("every");
    expect(await world.finish(forward.id)).toMatchObject({ state: "DONE" });
    const died = world.dieAt(new Set());
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
    world.dieAt(new Set(["after introduce perform"]));
    await world.turn();
    expect(await world.certificatesOf(hub(), purpose)).toHaveLength(2);
    await world.steer("abort", backward.id);
    world.dieAt("every");
    expect(await world.finish(backward.id)).toMatchObject({ state: "ABORTED", progress: { rolledBack: 1 } });
    expect(world.dieAt(new Set())).toEqual(expect.arrayContaining(["before undo perform", "after undo perform"]));
    expect(await settled()).toBe(after);
  });

  test("an abort after the switch finishes", async () => {
    const before = await settled();
    const { id } = await start();
    for (let turns = 0; turns < 20 && (await world.certificatesOf(hub(), purpose))[0] === before; turns++) {
      world.dieAt(new Set(["after switch perform"]));
      await world.turn();
    }
    world.dieAt(new Set());
    await world.steer("abort", id);
    expect(await world.finish(id)).toMatchObject({ state: "ABORTED", progress: { done: 1 } });
    expect(await settled()).not.toBe(before);
  });

  test("all gateways go in batches", async () => {
    const { id } = await world.rotate({ batch: 2 }, kind);
    expect(await world.finish(id)).toMatchObject({ state: "DONE", progress: { total: 3, done: 3 } });
    await settled();
  });
});

describe.each(["ISSUING_AUTHORITY", "ROOT_AUTHORITY"] as const)("%s", (kind) => {
  interface AuthorityRow {
    readonly id: string;
    readonly level: string;
    readonly retired: boolean;
    readonly distrusted: boolean;
    readonly crossed: boolean;
    readonly standby: boolean;
    readonly lists: string;
  }

  const authorities = async () =>
    (await query(
      world.cp.connection,
      `SELECT id, level, retired_at IS NOT NULL AS retired, distrusted_at IS NOT NULL AS distrusted,
         cross_certificate IS NOT NULL AS crossed, standby, list_number AS lists
       FROM certificate_authorities WHERE purpose = 'GATEWAY_IDENTITY' ORDER BY id`,
    )) as unknown as AuthorityRow[];

  /** Every gateway shows one certificate, of the one CA that issues, and trusts the roots that stand. */
  async function settled(): Promise<AuthorityRow> {
    const all = await authorities();
    const issuing = all.filter((a) => a.level === "ISSUING" && !a.retired);
    expect(issuing).toEqual([expect.objectContaining({ standby: false, crossed: false })]);
    const roots = all.filter((a) => a.level === "ROOT" && !a.distrusted).map((a) => a.id);
    expect(roots).toHaveLength(1);
    for (const [id, { intent }] of world.agents) {
      expect(intent?.trustAnchors.map((anchor) => anchor.id)).toEqual(roots);
      const [shown, ...others] = await world.certificatesOf(id, "GATEWAY_IDENTITY");
      expect(others).toEqual([]);
      expect(intent?.certificate?.fingerprint).toBe(shown);
      expect(await world.issuerOf(shown ?? "")).toBe(issuing[0]?.id);
    }
    expect(world.broken).toEqual([]);
    return issuing[0] as AuthorityRow;
  }

  test("gateways are moved in batches, and the old one stops issuing but not telling", async () => {
    const before = await settled();
    const begun = await world.rotate({ batch: 2 }, kind);
    expect(begun.plan.map(({ name, reversible }) => [name, reversible])).toEqual([
      ["introduce", true],
      ["switch", false],
      ["reissue", false],
      ["retire", false],
    ]);
    expect(await world.finish(begun.id)).toMatchObject({ kind, state: "DONE", failure: null });
    const after = await settled();
    expect(after.id).not.toBe(before.id);
    const old = (await authorities()).find(({ id }) => id === before.id);
    expect(old).toMatchObject({ retired: true, lists: expect.not.stringMatching(/^0$/) });
    const [part] = await query(
      world.cp.connection,
      `SELECT r.kind, r.state, r.batch FROM rotations r JOIN rotation_items i ON r.part_of_id = i.id WHERE i.rotation_id = $1`,
      [begun.id],
    );
    expect(part).toEqual({ kind: "GATEWAY_CERTIFICATE", state: "DONE", batch: 2 });
  });

  test("killed at every point that it comes by, it ends right, forwards and backwards", async () => {
    const before = await settled();
    const forward = await world.rotate({ batch: 3 }, kind);
    world.dieAt("every");
    expect(await world.finish(forward.id)).toMatchObject({ state: "DONE" });
    const died = world.dieAt(new Set());
    for (const step of ["introduce", "switch", "reissue", "retire"]) {
      expect(died).toEqual(expect.arrayContaining([`before ${step} perform`, `after ${step} perform`]));
    }
    const after = await settled();
    expect(after.id).not.toBe(before.id);

    const backward = await world.rotate({}, kind);
    world.dieAt(new Set(["after introduce perform"]));
    await world.turn();
    await world.steer("abort", backward.id);
    world.dieAt("every");
    expect(await world.finish(backward.id)).toMatchObject({ state: "ABORTED", progress: { rolledBack: 1 } });
    world.dieAt(new Set());
    await world.everybody();
    expect((await settled()).id).toBe(after.id);
  });
});

test("the master key: what another one sealed is sealed again, table by table, killed at every point", async () => {
  const stale = () => query(world.cp.connection, "SELECT 1 FROM intent_revisions WHERE key_id = 'other'");
  // The same key by another name: what is sealed can still be opened.
  const vault = world.cp.application.nest.get(Vault, { strict: false });
  jest.spyOn(vault, "unseal").mockImplementation(function (this: Vault, place, sealed) {
    return Vault.prototype.unseal.call(this, place, { ...sealed, keyId: this.keyId });
  });
  await query(world.cp.connection, "UPDATE intent_revisions SET key_id = 'other'");
  const { id, items } = await world.rotate({}, "MASTER_KEY");
  expect(items.edges.map(({ node }) => node.name)).toEqual(["IntentRevision"]);
  world.dieAt("every");
  expect(await world.finish(id)).toMatchObject({ state: "DONE", progress: { done: 1 } });
  expect(world.dieAt(new Set())).toEqual(expect.arrayContaining(["before reseal perform", "after reseal perform"]));
  expect(await stale()).toEqual([]);
  const { errors } = await world.cp.send("mutation { rotateMasterKey(input: {}) { id } }");
  expect(errors?.[0]?.extensions.code).toBe("rotation/nothing-to-do");
});
