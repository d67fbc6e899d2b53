import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { IntentService } from "../src/features/intents/intent.service.js";
import { Prover } from "../src/features/intents/prover.js";
import { eventually, startControlPlane, type TestControlPlane } from "./control-plane.js";
import { query } from "./database.js";
import { enrol } from "./enrol.js";
import { describeFleet, type Fleet, type MadeSite, ONBOARD_SITE } from "./fleet.js";

// Machines that test are busy.
const CREATE_ELSEWHERE = `mutation ($input: CreateSiteInput!) { createSite(input: $input) { site { id } } }`;

let cp: TestControlPlane;
let fleet: Fleet;
let prover: Prover;
let intents: IntentService;
let subnet = 10;

beforeAll(async () => {
  cp = await startControlPlane();
  prover = cp.application.nest.get(Prover, { strict: false });
  intents = cp.application.nest.get(IntentService, { strict: false });
  fleet = await describeFleet(cp);
  await enrol(cp, fleet.hub);
  await enrol(cp, fleet.branch);
  await settled();
});
afterAll(() => cp?.close());
afterEach(() => {
  jest.restoreAllMocks();
});

const settled = () =>
  eventually(
    () => query(cp.connection, "SELECT count(*)::int AS left FROM outbox"),
    ([row]) => row?.left === 0,
  );

async function onboard(name: string): Promise<MadeSite> {
  const input = { name, subnets: [`10.${subnet++}.0.0/16`], networkId: fleet.networkId, gateway: {} };
  return (await cp.get<{ onboardSite: MadeSite }>(ONBOARD_SITE, { input })).onboardSite;
}

/** Runs `meanwhile` while the first non-empty proof of the next compilation is made. */
function whileProving(meanwhile: () => Promise<void>) {
  const { judge } = Prover.prototype;
  const proved: string[][] = [];
  jest.spyOn(prover, "judge").mockImplementation(async function (this: Prover, claims) {
    proved.push(claims.map((c) => c.tunnel.name));
    if (claims.length > 0 && proved.filter((p) => p.length > 0).length === 1) await meanwhile();
    return judge.call(this, claims);
  });
  return proved;
}

describe("compiling", () => {
  test("proves without holding the organization, and only tunnels that are new or changed", async () => {
    const graz = await onboard("Graz");
    await settled();
    let free = false;
    const proved = whileProving(async () => {
      free = (await query(cp.connection, "SELECT 1 FROM organizations FOR UPDATE NOWAIT")).length === 1;
    });
    await enrol(cp, graz);
    await settled();
    expect(free).toBe(true);
    expect(proved.flat().filter((name) => !name.includes("Graz"))).toEqual([]);
    expect(proved.flat().length).toBeGreaterThan(0);
    expect(await intents.latestFor(graz.gateway.id)).toBeDefined();
  });

  test("proves anew what changed while it was proving", async () => {
    const [linz, wels] = [await onboard("Linz"), await onboard("Wels")];
    await settled();
    const proved = whileProving(() => enrol(cp, wels));
    await enrol(cp, linz);
    await settled();
    expect(proved.flat().some((name) => name.includes("Wels"))).toBe(true);
    const hub = await intents.latestFor(fleet.hub.gateway.id);
    const names = JSON.parse(Buffer.from(hub?.body ?? []).toString("utf8")).connections.map(
      (c: { name: string }) => c.name,
    );
    expect(names.filter((name: string) => /Linz|Wels/.test(name))).toHaveLength(2);
    for (const { gateway } of [linz, wels]) expect(await intents.latestFor(gateway.id)).toBeDefined();
  });

  test("an unrelated change writes nothing", async () => {
    const count = async () => (await query(cp.connection, "SELECT count(*)::int AS n FROM intent_revisions"))[0]?.n;
    const before = await count();
    await cp.get(CREATE_ELSEWHERE, { input: { name: "Elsewhere", subnets: [`10.${subnet++}.0.0/16`], gateway: {} } });
    await settled();
    expect(await count()).toBe(before);
  });
});
