import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import { HeldRevisions } from "../src/features/intents/held-revisions.js";
import { RolloutStarter } from "../src/features/rollouts/rollout-starter.js";
import { query } from "./database.js";
import { RolloutWorld } from "./rollout-world.js";
import { subscribe } from "./subscribe.js";

const BRANCHES = ["Graz", "Linz", "Wels"];
let world: RolloutWorld;
beforeAll(async () => {
  world = await RolloutWorld.start(BRANCHES);
});
afterAll(() => world?.close());

const bodies = () => [...world.agents.values()].map((agent) => agent.body);
const host = (name: string) => world.agent(name).intent?.connections[0]?.remote.host;
const hosts = () => BRANCHES.map(host);
const count = async () =>
  Number((await query(world.cp.connection, "SELECT count(*) AS n FROM intent_revisions"))[0]?.n);

test("without a policy every gateway gets a change at once, and there is no rollout", async () => {
  const { rolloutPolicy } = await world.cp.get("{ rolloutPolicy { mode canary batchPercent gateSeconds } }");
  expect(rolloutPolicy).toEqual({ mode: "IMMEDIATE", canary: 1, batchPercent: 25, gateSeconds: 60 });
  await world.moveHub("198.51.100.2");
  await world.everybody();
  expect(hosts()).toEqual(["198.51.100.2", "198.51.100.2", "198.51.100.2"]);
  expect(await world.rollouts()).toEqual([]);
});

test("a policy that makes no sense is refused with the field at fault", async () => {
  const refused = async (change: object) => {
    const input = { mode: "STAGED", ...change };
    const set = "mutation ($input: SetRolloutPolicyInput!) { setRolloutPolicy(input: $input) { mode } }";
    return (await world.cp.send(set, { input })).errors?.[0]?.extensions;
  };
  for (const [name, value] of Object.entries({
    canary: 101,
    batchPercent: 0,
    pauseSeconds: -1,
    gateSeconds: 0,
    ackSeconds: 3_601,
  })) {
    expect(await refused({ [name]: value })).toMatchObject({ code: "api/bad-input", field: `input.${name}` });
  }
  const unknown = "01920000-0000-7000-8000-000000000000";
  const { id } = world.agent("Graz");
  expect(await refused({ canaryGatewayIds: [id, unknown] })).toMatchObject({
    code: "api/not-found",
    field: "input.canaryGatewayIds[1]",
  });
  expect(await refused({ canaryGatewayIds: [id, id] })).toMatchObject({ field: "input.canaryGatewayIds" });
});

test("a change goes stage by stage: the canary, its gate, the pause, then the others in batches", async () => {
  await world.policy({ canaryGatewayIds: [world.agent("Linz").id] });
  await world.moveHub("198.51.100.3");
  await world.everybody();
  expect(world.states(await world.newest())).toEqual({ Graz: "PENDING", Linz: "PENDING", Wels: "PENDING" });
  expect(hosts()).toEqual(["198.51.100.2", "198.51.100.2", "198.51.100.2"]);

  await world.turn();
  expect(world.states(await world.newest())).toEqual({ Graz: "PENDING", Linz: "PUSHED", Wels: "PENDING" });
  await world.everybody();
  expect(hosts()).toEqual(["198.51.100.2", "198.51.100.3", "198.51.100.2"]);
  await world.turn();
  await world.turn();
  // The gate has not passed, and then the pause has not.
  expect(world.states(await world.newest())).toMatchObject({ Linz: "PUSHED" });
  await world.pass();
  await world.turn();
  await world.turn();
  expect(world.states(await world.newest())).toEqual({ Graz: "PENDING", Linz: "DONE", Wels: "PENDING" });
  await world.pass();
  await world.turn();
  expect(world.states(await world.newest())).toEqual({ Graz: "PUSHED", Linz: "DONE", Wels: "PUSHED" });
  expect(await world.finish()).toMatchObject({
    state: "DONE",
    stage: 2,
    failure: null,
    progress: { total: 3, done: 3 },
  });
  expect(hosts()).toEqual(["198.51.100.3", "198.51.100.3", "198.51.100.3"]);
});

test("a refusal rolls the pushed back and withdraws the rest, tells why, and nothing is tried again until somebody says so", async () => {
  await world.policy();
  const before = bodies();
  await world.moveHub("198.51.100.4");
  await world.turn();
  const [canary] = (await world.newest()).items.edges.flatMap(({ node }) =>
    node.state === "PUSHED" ? node.gateway.name : [],
  );
  await world.take(canary ?? "", "nack");
  await world.turn();
  const failed = await world.newest();
  expect(failed).toMatchObject({
    state: "ROLLED_BACK",
    failure: { code: "rollout/refused", gatewayId: world.agent(canary ?? "").id, tunnelId: null },
    progress: { rolledBack: 1, withdrawn: 2 },
  });
  expect(failed.failure?.message).toMatch(/refused revision \d+: the kernel refused it/);
  await world.everybody();
  expect(bodies()).toEqual(before);
  const [event] = await query(
    world.cp.connection,
    "SELECT severity, facts FROM events WHERE kind = 'rollout/rolled-back'",
  );
  expect(event).toMatchObject({
    severity: "ERROR",
    facts: { code: "rollout/refused", refusal: "xfrm/kernel-rejected", field: "connections[0].remote.host" },
  });
  const entries = await query(
    world.cp.connection,
    "SELECT actor_kind, after->>'code' AS code FROM audit_entries WHERE action = 'rollBackRollout' AND target_id::text = $1",
    [failed.id],
  );
  expect(entries).toEqual([{ actor_kind: "system", code: "rollout/refused" }]);

  const revisions = await count();
  // Something else changes: what was rolled back is not its business.
  await world.cp.get("mutation ($input: CreateSiteInput!) { createSite(input: $input) { site { id } } }", {
    input: { name: "Elsewhere", subnets: ["10.77.0.0/16"], gateway: {} },
  });
  await world.turn();
  expect(await count()).toBe(revisions);
  expect(await world.steer("retry", failed.id)).toBeUndefined();
  await world.turn();
  expect(await world.finish()).toMatchObject({ state: "DONE", progress: { done: 3 } });
  expect(hosts()).toEqual(["198.51.100.4", "198.51.100.4", "198.51.100.4"]);
  expect(await world.steer("retry", failed.id)).toBe("rollout/nothing-to-retry");
});

test("a tunnel that was up and does not come back rolls all stages back, with the tunnel and the error as the reason", async () => {
  await world.policy();
  await world.report();
  const before = bodies();
  await world.moveHub("198.51.100.5");
  await world.stage();
  await world.turn();
  const second = await world.newest();
  expect(second).toMatchObject({ stage: 2, progress: { done: 1, pushed: 2 } });
  await world.everybody();
  const [first, , last] = second.items.edges.map(({ node }) => node.gateway.name) as [string, string, string];
  await world.report(last);
  await world.turn();
  // It has until the gate's end.
  expect(await world.newest()).toMatchObject({ state: "RUNNING" });
  await world.pass();
  await world.turn();
  const failed = await world.newest();
  const tunnel = world.tunnels.find(({ left, right }) => [left, right].includes(world.agent(last).id));
  expect(failed).toMatchObject({
    state: "ROLLED_BACK",
    failure: { code: "rollout/tunnel-down", tunnelId: tunnel?.id },
    progress: { rolledBack: 3 },
  });
  expect(failed.failure?.message).toContain(last);
  expect(failed.failure?.message).toMatch(
    /was UP and is DOWN 3600 s after the change: .*: the peer refused our proposals/,
  );
  expect(world.agent(first).body).not.toBe(before[1 + BRANCHES.indexOf(first)]);
  await world.everybody();
  expect(bodies()).toEqual(before);
  const [event] = await query(
    world.cp.connection,
    "SELECT tunnel_id, facts FROM events WHERE kind = 'rollout/rolled-back' ORDER BY id DESC LIMIT 1",
  );
  expect(event).toMatchObject({
    tunnel_id: tunnel?.id,
    facts: { error: "ike/no-proposal-chosen", theirs: "3des-sha1-modp1024" },
  });
  for (const { node } of failed.items.edges) {
    expect(node.restored).toBe(world.agent(node.gateway.name).revision);
    expect(node.former).toBeLessThan(node.revision);
  }
  // The operator takes the change back: what gateways have is what the model says, and no stage has to be waited for.
  await world.report();
  await world.moveHub("198.51.100.4");
  await world.everybody();
  expect(await world.newest()).toMatchObject({ id: failed.id });
  expect(bodies()).toEqual(before);
});

test("an agent that says nothing in time is a failure, too", async () => {
  await world.policy({ canary: 3 });
  const before = bodies();
  await world.moveHub("198.51.100.6");
  await world.turn();
  await world.take("Graz");
  await world.pass();
  await world.turn();
  expect(await world.newest()).toMatchObject({ state: "ROLLED_BACK", failure: { code: "rollout/not-acknowledged" } });
  await world.everybody();
  expect(bodies()).toEqual(before);
  await world.moveHub("198.51.100.4");
  await world.everybody();
});

test("gateways whose site's window is closed, or whose agent is away, wait while others go", async () => {
  await world.policy({ canary: 0, batchPercent: 100, pauseSeconds: 0 });
  const from = new Date(Date.now() + 3 * 3_600_000).toISOString().slice(11, 16);
  await world.windows("Graz", [{ from, minutes: 60 }]);
  await world.disconnect("Wels");
  await world.moveHub("198.51.100.7");
  await world.stage();
  await world.stage();
  const waiting = await world.newest();
  expect(world.states(waiting)).toEqual({ Graz: "PENDING", Linz: "DONE", Wels: "PENDING" });
  const reasons = Object.fromEntries(waiting.items.edges.map(({ node }) => [node.gateway.name, node.waitingFor]));
  expect(reasons).toMatchObject({
    Graz: expect.stringMatching(/^its site's maintenance window, which opens at /),
    Linz: null,
    Wels: "its agent, which is not connected",
  });
  expect(hosts()).toEqual(["198.51.100.4", "198.51.100.7", "198.51.100.4"]);
  await world.windows("Graz", []);
  await world.stage();
  expect(world.states(await world.newest())).toMatchObject({ Graz: "DONE", Wels: "PENDING" });
  await world.connect("Wels");
  expect(await world.finish()).toMatchObject({ state: "DONE" });
});

test("operators pause, resume and abort, and whoever subscribes sees it", async () => {
  await world.policy();
  const before = bodies();
  await world.moveHub("198.51.100.8");
  const { id } = await world.newest();
  const { next, end } = subscribe(
    world.cp,
    world.cp.first.apiToken,
    `subscription { rolloutChanged(id: "${id}") { state stage } }`,
  );
  expect((await next()).value).toMatchObject({ data: { rolloutChanged: { state: "RUNNING", stage: 0 } } });
  const seen: string[] = [];
  const watched = (async () => {
    for (let news = await next(); !news.done; news = await next())
      seen.push(JSON.stringify(news.value.data?.rolloutChanged));
  })();
  expect(await world.steer("pause", id)).toBeUndefined();
  expect(await world.steer("pause", id)).toBe("rollout/wrong-state");
  await world.stage();
  expect(await world.newest()).toMatchObject({ state: "PAUSED", stage: 0, progress: { pending: 3 } });
  expect(await world.steer("resume", id)).toBeUndefined();
  await world.stage();
  expect(await world.newest()).toMatchObject({ stage: 1, progress: { done: 1, pending: 2 } });
  expect(await world.steer("abort", id)).toBeUndefined();
  expect(await world.newest()).toMatchObject({
    state: "ROLLED_BACK",
    failure: { code: "rollout/aborted" },
    progress: { rolledBack: 1, withdrawn: 2 },
  });
  await watched;
  await end();
  expect(seen.at(-1)).toBe('{"state":"ROLLED_BACK","stage":1}');
  await world.everybody();
  expect(bodies()).toEqual(before);
  for (const action of ["pause", "resume", "abort"] as const) {
    expect(await world.steer(action, id)).toBe("rollout/wrong-state");
  }
  expect(await world.steer("pause", "01920000-0000-7000-8000-000000000000")).toBe("api/not-found");
});

test("a newer change takes over what was not pushed, pauses included, and waits for the stage that was", async () => {
  await world.policy();
  await world.moveHub("198.51.100.9");
  await world.turn();
  const older = await world.newest();
  expect(older.progress).toMatchObject({ pushed: 1, pending: 2 });
  await world.steer("pause", older.id);
  await world.moveHub("198.51.100.10");
  const [newer, taken] = await world.rollouts();
  expect(newer).toMatchObject({ state: "PAUSED", progress: { total: 3, pending: 3 } });
  expect(taken).toMatchObject({ id: older.id, progress: { pushed: 1, superseded: 2 } });
  await world.steer("resume", newer?.id ?? "");
  await world.turn();
  expect(await world.newest()).toMatchObject({ stage: 0 });
  expect(await world.finish()).toMatchObject({ id: newer?.id, state: "DONE", progress: { done: 3 } });
  expect((await world.rollouts())[1]).toMatchObject({ id: older.id, state: "DONE", progress: { done: 1 } });
  expect(hosts()).toEqual(["198.51.100.10", "198.51.100.10", "198.51.100.10"]);
});

test("ends that would not understand each other in between go together", async () => {
  await world.policy();
  await world.propose("aes256-sha512-modp4096");
  const bound = await world.newest();
  expect(world.states(bound)).toEqual({ Graz: "PENDING", Hub: "PENDING", Linz: "PENDING", Wels: "PENDING" });
  await world.turn();
  expect((await world.newest()).progress).toMatchObject({ pushed: 4 });
  expect(await world.finish()).toMatchObject({ state: "DONE", stage: 1 });
});

test("whoever dies in the middle of a turn has done nothing, and whoever starts goes on", async () => {
  await world.policy();
  await world.moveHub("198.51.100.11");
  const { nest } = world.cp.application;
  const held = nest.get(HeldRevisions, { strict: false });
  const { release } = held;
  const killed = jest.spyOn(held, "release").mockImplementationOnce(async (...args) => {
    await release.apply(held, args);
    throw new Error("killed");
  });
  await expect(world.turn()).rejects.toThrow("killed");
  killed.mockRestore();
  await world.everybody();
  expect(hosts()).toEqual(["198.51.100.10", "198.51.100.10", "198.51.100.10"]);
  expect(await world.newest()).toMatchObject({ stage: 0, progress: { pending: 3 } });
  const jobs = () => query(world.cp.connection, "SELECT payload FROM outbox WHERE job = 'advance-rollout' ORDER BY id");
  const [old] = await jobs();
  await nest.get(RolloutStarter, { strict: false }).kickAll();
  expect(await jobs()).toHaveLength(2);
  await world.turn();
  expect(await world.newest()).toMatchObject({ stage: 1, progress: { pushed: 1 } });
  await query(
    world.cp.connection,
    "INSERT INTO outbox (organization_id, job, payload) SELECT id, 'advance-rollout', $1 FROM organizations",
    [JSON.stringify(old?.payload)],
  );
  await Promise.all([world.turn(), world.turn()]);
  expect(await jobs()).toHaveLength(1);
  expect(await world.finish()).toMatchObject({ state: "DONE", progress: { done: 3 } });
});

test("a gateway that has nothing yet gets its first intent at once; one that goes is waited for no more", async () => {
  await world.policy();
  const { id } = world.agent("Wels");
  await world.moveHub("198.51.100.12");
  await world.turn();
  await query(world.cp.connection, "UPDATE gateways SET state = 'RETIRED' WHERE id = $1", [id]);
  const done = await world.finish();
  expect(done).toMatchObject({ state: "DONE", progress: { done: 2, superseded: 1 } });
  await query(world.cp.connection, "UPDATE gateways SET state = 'ENROLLED', acked_revision = NULL WHERE id = $1", [id]);
  await world.moveHub("198.51.100.13");
  await world.take("Wels");
  expect(host("Wels")).toBe("198.51.100.13");
  expect(world.states(await world.newest())).toEqual({ Graz: "PENDING", Linz: "PENDING" });
  await world.finish();
});

test("steering takes its permission, and another organization's rollouts are not there", async () => {
  const { id } = await world.newest();
  const create = "mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { token apiToken { id } } }";
  const { createApiToken: made } = await world.cp.get<{ createApiToken: { token: string; apiToken: { id: string } } }>(
    create,
    {
      input: { name: "narrow", permissions: ["fleet:read", "secret:write"] },
    },
  );
  const code = async (text: string, token = made.token) =>
    (await world.cp.send(text, {}, token)).errors?.[0]?.extensions.code;
  expect(await code(`mutation { pauseRollout(id: "${id}") { id } }`)).toBe("api/forbidden");
  expect(await code("mutation { setRolloutPolicy(input: { mode: IMMEDIATE }) { mode } }")).toBe("api/forbidden");
  expect(await code("{ rollouts { edges { node { id } } } }")).toBeUndefined();
  const other = "01920000-0000-7000-8000-00000000beef";
  await query(world.cp.connection, "INSERT INTO organizations (id, name, slug) VALUES ($1, 'Other', 'other')", [other]);
  await query(
    world.cp.connection,
    `WITH o AS (INSERT INTO operators (id, organization_id, email, name, password_hash)
     VALUES ('01920000-0000-7000-8000-00000000cafe', $1, 'other@example.org', 'Other', 'x') RETURNING id)
     UPDATE api_tokens SET organization_id = $1, operator_id = (SELECT id FROM o), permissions = '{}' WHERE id = $2`,
    [other, made.apiToken.id],
  );
  const { data } = await world.cp.send(
    `{ rollout(id: "${id}") { id } rollouts { edges { node { id } } } rolloutPolicy { mode } }`,
    {},
    made.token,
  );
  expect(data).toEqual({ rollout: null, rollouts: { edges: [] }, rolloutPolicy: { mode: "IMMEDIATE" } });
  for (const action of ["pause", "resume", "abort", "retry"]) {
    expect(await code(`mutation { ${action}Rollout(id: "${id}") { id } }`)).toBe("api/not-found");
  }
});
