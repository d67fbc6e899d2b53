import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import fc from "fast-check";
import { PreSharedKeySaga } from "../src/features/rotations/pre-shared-key.saga.js";
import { RotationDriver } from "../src/features/rotations/rotation-driver.js";
import { eventually } from "./control-plane.js";
import { query } from "./database.js";
import { RotationWorld } from "./rotation-world.js";
import { subscribe } from "./subscribe.js";

// Many rotations, on machines that do other things too.
let world: RotationWorld;
beforeAll(async () => {
  world = await RotationWorld.start(3, "PRE_SHARED_KEY");
});
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

test("without a window of its own, a rotation begins in those of its tunnels' sites", async () => {
  const before = await settled();
  const windows = async (siteId: unknown, hours: readonly object[]) =>
    world.cp.get("mutation ($input: SetMaintenanceWindowsInput!) { setMaintenanceWindows(input: $input) { id } }", {
      input: { siteId, windows: hours },
    });
  const [site] = await query(world.cp.connection, "SELECT site_id AS id FROM gateways WHERE id = $1", [first().left]);
  // Its next one is hours away.
  const from = new Date(Date.now() + 3 * 3_600_000).toISOString().slice(11, 16);
  await windows(site?.id, [{ from, minutes: 60 }]);
  const everyMinute = { from: "00:00", minutes: 1_440 };
  const own = await world.rotate({ ...one(), window: everyMinute, hold: true });
  const { id } = await world.rotate({ tunnelIds: world.tunnels.slice(1).map((t) => t.id), batch: 2 });
  await world.turn();
  // The other tunnels have other sites.
  expect((await world.shown(id)).progress).toMatchObject({ running: 2 });
  expect(await world.finish(id)).toMatchObject({ state: "DONE" });
  await world.steer("resume", own.id);
  await world.turn();
  expect((await world.shown(own.id)).progress).toMatchObject({ running: 1 });
  expect(await world.finish(own.id)).toMatchObject({ state: "DONE" });
  const between = await settled();
  expect(between).not.toBe(before);

  const waiting = await world.rotate(one());
  await world.turn();
  expect((await world.shown(waiting.id)).progress).toMatchObject({ pending: 1 });
  await windows(site?.id, []);
  expect(await world.finish(waiting.id)).toMatchObject({ state: "DONE" });
  expect(await settled()).not.toBe(between);
});

test("whoever subscribes sees where it stands, each step and that it is over", async () => {
  const { id } = await world.rotate({ ...one(), hold: true });
  const of = (rotation: string) =>
    subscribe(
      world.cp,
      world.cp.first.apiToken,
      `subscription { rotationChanged(id: "${rotation}") { state items { edges { node { step } } } } }`,
    );
  const { next, end } = of(id);
  expect((await next()).value).toMatchObject({ data: { rotationChanged: { state: "PAUSED" } } });
  const seen: unknown[] = [];
  const watched = (async () => {
    for (let news = await next(); !news.done; news = await next()) seen.push(news.value.data?.rotationChanged);
  })();
  const sees = async (state: string, step: string) => {
    const wanted = { state, items: { edges: [{ node: { step } }] } };
    await eventually(
      async () => seen.at(-1),
      (last) => isDeepStrictEqual(last, wanted),
    );
  };
  await world.steer("resume", id);
  await world.turn();
  await sees("RUNNING", "introduce");
  await world.steer("pause", id);
  await world.turn();
  await sees("PAUSED", "introduce");
  await world.steer("resume", id);
  await world.finish(id);
  await watched;
  await sees("DONE", "retire");
  await end();
  const unknown = of("01920000-0000-7000-8000-000000000000");
  await expect(unknown.next()).rejects.toMatchObject([{ extensions: { code: "api/not-found", field: "id" } }]);
  await unknown.end();
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

test("whoever starts goes on at once with what another one has left, whose job does nothing any more", async () => {
  const { id } = await world.rotate(one());
  await world.turn();
  const jobs = () =>
    query(
      world.cp.connection,
      `SELECT o.id, o.not_before, o.payload->'tick' = to_jsonb(r.tick) AS valid
       FROM outbox o JOIN rotations r ON o.payload->>'rotationId' = r.id::text WHERE r.id = $1 ORDER BY o.id`,
      [id],
    );
  const [left] = await jobs();
  expect(left).toMatchObject({ not_before: expect.any(Date), valid: true });
  await world.cp.application.nest.get(RotationDriver, { strict: false }).resume();
  const [old, fresh, ...others] = await jobs();
  expect([old, fresh, others]).toEqual([
    { ...left, valid: false },
    { id: expect.anything(), not_before: null, valid: true },
    [],
  ]);
  expect(await world.finish(id)).toMatchObject({ state: "DONE" });
  await world.cp.application.nest.get(RotationDriver, { strict: false }).resume();
  expect(await jobs()).toEqual([]);
  await settled();
});

test("a step that takes long keeps the claim of who carries it out", async () => {
  const [introduce] = world.cp.application.nest.get(PreSharedKeySaga, { strict: false }).steps;
  const { id } = await world.rotate(one());
  const leasedUntil = async () => {
    const [row] = await query(world.cp.connection, "SELECT leased_until AS at FROM rotations WHERE id = $1", [id]);
    return row?.at instanceof Date ? row.at.getTime() : 0;
  };
  const { perform } = introduce;
  const claims: number[] = [];
  const slow = jest.spyOn(introduce, "perform").mockImplementationOnce(async (...args) => {
    const first = await leasedUntil();
    claims.push(first, await eventually(leasedUntil, (later) => later > first));
    return perform(...args);
  });
  await world.turn();
  slow.mockRestore();
  expect(claims[0]).toBeGreaterThan(0);
  expect(claims[1]).toBeGreaterThan(claims[0] ?? 0);
  expect(await leasedUntil()).toBe(0);
  expect(await world.finish(id)).toMatchObject({ state: "DONE" });
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
