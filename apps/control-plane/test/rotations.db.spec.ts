import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import fc from "fast-check";
import { Vault } from "../src/platform/vault/vault.js";
import { query } from "./database.js";
import { RotationWorld, type ShownRotation } from "./rotation-world.js";

// Many rotations, on machines that do other things too.
jest.setTimeout(120_000);

let world: RotationWorld;
beforeAll(async () => {
  world = await RotationWorld.start(3, "PRE_SHARED_KEY");
}, 60_000);
afterAll(() => world?.close());

const first = () => world.tunnels[0] as RotationWorld["tunnels"][number];
const one = () => ({ tunnelIds: [first().id] });

/** Both ends run the tunnel's one key, and their IKE SA rests on it. */
async function settled(key = first().key): Promise<string> {
  const tunnel = world.tunnels.find((t) => t.key === key);
  const keys = await world.keysOf(key);
  const used = keys[0] ?? "";
  expect(keys).toEqual([used]);
  for (const id of [tunnel?.left, tunnel?.right]) {
    const agent = world.agents.get(id ?? "");
    expect([agent?.own(key), agent?.accepted(key), agent?.proven.get(key)]).toEqual([used, [used], used]);
  }
  expect(world.broken).toEqual([]);
  return used;
}

test("a tunnel's key is replaced at both ends, and the plan, the progress and the history tell it", async () => {
  const before = await settled();
  const begun = await world.rotate(one());
  expect(begun).toMatchObject({ kind: "PRE_SHARED_KEY", state: "RUNNING", progress: { total: 1, pending: 1 } });
  expect(begun.plan).toEqual([
    { name: "introduce", impact: "UNTOUCHED", reversible: true },
    { name: "switch", impact: "UNTOUCHED", reversible: false },
    { name: "prove", impact: "REKEYED", reversible: false },
    { name: "retire", impact: "UNTOUCHED", reversible: false },
  ]);
  await world.turn();
  const waiting = await world.shown(begun.id);
  expect(waiting.items.edges[0]?.node).toMatchObject({ state: "RUNNING", step: "introduce" });
  expect(waiting.items.edges[0]?.node.waitingFor).toMatch(/accept the new key/);
  expect((await world.keysOf(first().key))[0]).toBe(before);
  const done = await world.finish(begun.id);
  expect(done).toMatchObject({ state: "DONE", failure: null, progress: { total: 1, done: 1 } });
  expect(done.history.edges.map(({ node }) => [node.what, node.step].filter(Boolean).join(" "))).toEqual([
    "requested",
    "begun",
    ...["introduce", "switch", "prove", "retire"].flatMap((step) => [`performed ${step}`, `confirmed ${step}`]),
    "done",
  ]);
  expect(await settled()).not.toBe(before);
  expect(await world.steer("abort", begun.id)).toBe("rotation/wrong-state");
});

test("killed at every point that it comes by, it ends right, forwards and backwards", async () => {
  const before = await settled();
  const forward = await world.rotate(one());
  world.dieAt("every");
  expect(await world.finish(forward.id)).toMatchObject({ state: "DONE" });
  const died = world.dieAt(new Set());
  for (const step of ["introduce", "switch", "prove", "retire"]) {
    for (const when of ["before", "after"]) {
      expect(died).toContain(`${when} ${step} perform`);
      expect(died).toContain(`${when}  change performed ${step}`);
      expect(died).toContain(`${when}  change confirmed ${step}`);
    }
  }
  const after = await settled();
  expect(after).not.toBe(before);

  const backward = await world.rotate(one());
  await world.turn();
  await world.everybody();
  expect(await world.keysOf(first().key)).toHaveLength(2);
  await world.steer("abort", backward.id);
  world.dieAt("every");
  expect(await world.finish(backward.id)).toMatchObject({ state: "ABORTED" });
  expect(world.dieAt(new Set())).toEqual(expect.arrayContaining(["before undo perform", "after undo perform"]));
  expect(await settled()).toBe(after);
});

type Action = "turn" | "left" | "right" | "reauthenticate" | "pause" | "resume" | "abort" | { readonly dieAt: string };

const POINTS = ["introduce", "switch", "prove", "retire", "undo"].flatMap((step) => [
  `before ${step} perform`,
  `after ${step} perform`,
  `after  change confirmed ${step}`,
]);

test("whatever comes between, both ends share a key at every moment, and in the end one alone", async () => {
  const action = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom<Action>("turn", "left", "right") },
    { weight: 2, arbitrary: fc.constantFrom<Action>("reauthenticate", "pause", "resume") },
    { weight: 1, arbitrary: fc.constant<Action>("abort") },
    { weight: 2, arbitrary: fc.record({ dieAt: fc.constantFrom(...POINTS) }) },
  );
  const run = async (actions: readonly Action[]) => {
    const before = await settled();
    const { key, left, right } = first();
    const { id } = await world.rotate(one());
    for (const what of actions) {
      if (typeof what === "object") world.dieAt(new Set([what.dieAt]));
      else if (what === "turn") await world.turn();
      else if (what === "left") await world.take(left);
      else if (what === "right") await world.take(right);
      else if (what === "reauthenticate") await world.reauthenticate(key);
      else await world.steer(what, id);
      expect(world.broken).toEqual([]);
    }
    world.dieAt(new Set());
    await world.steer("resume", id);
    const { state } = await world.finish(id);
    await world.everybody();
    const after = await settled();
    if (state === "DONE") expect(after).not.toBe(before);
    else expect(state).toBe("ABORTED");
  };
  await fc.assert(fc.asyncProperty(fc.array(action, { minLength: 4, maxLength: 16 }), run), {
    numRuns: 6,
    endOnFailure: true,
  });
});

test("an abort before the switch takes the new key back, after it finishes", async () => {
  const before = await settled();
  const early = await world.rotate(one());
  await world.turn();
  await world.everybody();
  expect(await world.keysOf(first().key)).toHaveLength(2);
  expect(await world.steer("abort", early.id)).toBeUndefined();
  expect(await world.finish(early.id)).toMatchObject({ state: "ABORTED", progress: { rolledBack: 1 } });
  expect(await settled()).toBe(before);

  const late = await world.rotate(one());
  while ((await world.keysOf(first().key))[0] === before) {
    await world.turn();
    await world.everybody();
  }
  expect(await world.steer("abort", late.id)).toBeUndefined();
  expect(await world.finish(late.id)).toMatchObject({ state: "ABORTED", progress: { done: 1 } });
  expect(await settled()).not.toBe(before);
});

test("an abort between the switch and its record finishes, too", async () => {
  const before = await settled();
  const { id } = await world.rotate(one());
  world.dieAt(new Set(["after switch perform"]));
  while ((await world.keysOf(first().key))[0] === before) {
    await world.turn();
    await world.everybody();
  }
  world.dieAt(new Set());
  expect(await world.steer("abort", id)).toBeUndefined();
  expect(await world.finish(id)).toMatchObject({ state: "ABORTED" });
  await settled();
});

test("all of them go in batches, and stop at the first failure until somebody resumes", async () => {
  const busy = await world.rotate({ batch: 2, hold: true });
  expect(busy).toMatchObject({ state: "PAUSED", progress: { total: 3, pending: 3 } });
  const { errors } = await world.cp.send(
    "mutation ($input: RotatePreSharedKeysInput!) { rotatePreSharedKeys(input: $input) { id } }",
    {
      input: one(),
    },
  );
  expect(errors?.[0]?.extensions).toMatchObject({ code: "rotation/under-way", rotation: busy.id });
  await world.turn();
  expect((await world.shown(busy.id)).progress).toMatchObject({ pending: 3 });
  await world.steer("resume", busy.id);
  await world.turn();
  expect((await world.shown(busy.id)).progress).toMatchObject({ running: 2, pending: 1 });
  // Nobody takes his intent, and an hour passes.
  await query(world.cp.connection, "UPDATE rotation_items SET step_at = step_at - interval '1 hour'");
  await world.turn();
  const failed = await world.shown(busy.id);
  expect(failed).toMatchObject({ state: "FAILED", progress: { running: 2, pending: 1 } });
  expect(failed.failure).toMatch(/introduce was not confirmed within 600 s: .* does not accept the new key yet/);
  await world.steer("resume", busy.id);
  expect(await world.finish(busy.id)).toMatchObject({ state: "DONE", progress: { done: 3 } });
  for (const { key } of world.tunnels) await settled(key);
});

test("two replicas that get the same job do it once, and an old job nothing", async () => {
  const before = await settled();
  const { id } = await world.rotate(one());
  const rows = await query(world.cp.connection, "SELECT payload FROM outbox WHERE job = 'advance-rotation'");
  await Promise.all([world.turn(), world.turn()]);
  await query(
    world.cp.connection,
    "INSERT INTO outbox (organization_id, job, payload) SELECT id, 'advance-rotation', $1 FROM organizations",
    [JSON.stringify(rows[0]?.payload)],
  );
  const { history } = await world.finish(id);
  expect(history.edges.filter(({ node }) => node.what === "performed")).toHaveLength(4);
  expect(await settled()).not.toBe(before);
});

test("what cannot be rotated, and when, is said with the field at fault", async () => {
  const refused = async (input: object) =>
    (
      await world.cp.send(
        "mutation ($input: RotatePreSharedKeysInput!) { rotatePreSharedKeys(input: $input) { id } }",
        { input },
      )
    ).errors?.[0]?.extensions;
  const unknown = "01920000-0000-7000-8000-000000000000";
  expect(await refused({ tunnelIds: [unknown] })).toMatchObject({ code: "api/not-found", field: "input.tunnelIds[0]" });
  expect(await refused({ tunnelIds: [] })).toMatchObject({ code: "rotation/nothing-to-do" });
  expect(await refused({ batch: 0 })).toMatchObject({ code: "api/bad-input", field: "input.batch" });
  const window = (change: object) => refused({ window: { from: "02:00", minutes: 60, ...change } });
  expect(await window({ from: "25:00" })).toMatchObject({ field: "input.window.from" });
  expect(await window({ days: [7] })).toMatchObject({ field: "input.window.days" });
  expect(await window({ timeZone: "Nowhere/Land" })).toMatchObject({ field: "input.window.timeZone" });
});

describe("certificates, authorities and the master key", () => {
  let fleet: RotationWorld;
  beforeAll(async () => {
    fleet = await RotationWorld.start(2, "CERTIFICATE");
  }, 60_000);
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

    test("gateways are moved in batches, and the old one stops issuing but not telling", async () => {
      const before = await settled();
      const begun = await fleet.rotate({ batch: 2 }, kind);
      expect(begun.plan.map(({ name, reversible }) => [name, reversible])).toEqual([
        ["introduce", true],
        ["switch", false],
        ["reissue", false],
        ["retire", false],
      ]);
      expect(await fleet.finish(begun.id)).toMatchObject({ kind, state: "DONE", failure: null });
      const after = await settled();
      expect(after.id).not.toBe(before.id);
      const old = (await authorities()).find(({ id }) => id === before.id);
      expect(old).toMatchObject({ retired: true, lists: expect.not.stringMatching(/^0$/) });
      const [part] = await query(
        fleet.cp.connection,
        `SELECT r.kind, r.state, r.batch FROM rotations r JOIN rotation_items i ON r.part_of_id = i.id WHERE i.rotation_id = $1`,
        [begun.id],
      );
      expect(part).toEqual({ kind: "GATEWAY_CERTIFICATE", state: "DONE", batch: 2 });
    });

    test("killed at every point that it comes by, it ends right, forwards and backwards", async () => {
      const before = await settled();
      const forward = await fleet.rotate({ batch: 3 }, kind);
      fleet.dieAt("every");
      expect(await fleet.finish(forward.id)).toMatchObject({ state: "DONE" });
      const died = fleet.dieAt(new Set());
      for (const step of ["introduce", "switch", "reissue", "retire"]) {
        expect(died).toEqual(expect.arrayContaining([`before ${step} perform`, `after ${step} perform`]));
      }
      const after = await settled();
      expect(after.id).not.toBe(before.id);

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
});
