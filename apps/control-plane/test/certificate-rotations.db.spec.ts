import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
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
