import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { eventually, Stopwatch } from "@sallyport/testkit";
import { Refused } from "../../tools/demo/api.ts";
import { Fleet } from "../../tools/demo/fleet.ts";
import { ADD_EXTERNAL_PEER } from "../../tools/demo/operations.ts";
import { CONTROL_PLANE_DEVICE, WORLD } from "../../tools/demo/world.ts";
import { DEPOT_TO_HEADQUARTERS, Depot } from "./depot.js";
import { PublicAuthority } from "./public-authority.js";
import { Rotation } from "./rotation.js";
import { branchSpis, healthIsRight, rekeyBranch, statusOf, underTraffic, untilReconnected } from "./scenario.js";

const HOME = path.resolve(import.meta.dirname, "../../.sallyport/chaos");
const fleet = new Fleet({
  home: HOME,
  dataPlane: "userspace",
  port: 8440,
  agentsPort: 8441,
  authentication: "PRE_SHARED_KEY",
});
const RECONNECT_MS = 5_000;

beforeAll(async () => {
  await fleet.startControlPlane();
  await fleet.layOut();
  await fleet.createHeadquarters();
  await fleet.onboardBranch();
  await fleet.addPartner();
  await fleet.healthy(2);
}, 180_000);
afterAll(() => fleet.close(), 120_000);

it("kill -9 of the control plane: no packet lost, rekeys go on, agents come back, health is right", async () => {
  const traffic = await underTraffic(async () => {
    await fleet.controlPlane.kill();
    await eventually("the agents have noticed", async () =>
      (await statusOf(fleet.branch)).connected === false ? true : undefined,
    );
    await rekeyBranch(fleet);
    const restarted = Date.now();
    await fleet.controlPlane.start();
    expect(await untilReconnected(fleet, restarted)).toBeLessThan(RECONNECT_MS);
    await healthIsRight(fleet);
  });
  expect(traffic.lossPct).toBe(0);
}, 120_000);

it("kill -9 of PostgreSQL: no packet lost, rekeys go on, agents come back, health is right", async () => {
  const traffic = await underTraffic(async () => {
    const before = await fleet.controlPlane.databasePid();
    process.kill(before, "SIGKILL");
    await rekeyBranch(fleet);
    await eventually(
      "the API answers again, from another PostgreSQL",
      async () => {
        await fleet.health();
        return (await fleet.controlPlane.databasePid()) !== before || undefined;
      },
      30_000,
    );
    const watch = new Stopwatch();
    await fleet.healthy(2);
    expect(watch.stop()).toBeLessThan(RECONNECT_MS);
    await rekeyBranch(fleet);
    await healthIsRight(fleet);
  });
  expect(traffic.lossPct).toBe(0);
}, 120_000);

it("a pre-shared key is rotated at both ends: no packet lost", async () => {
  const before = await branchSpis(fleet);
  // The end that is asked to delete an SA keeps it for a while, to answer again.
  const keyOf = async (gateway: typeof fleet.branch) =>
    (await statusOf(gateway)).peers
      .find((p) => p.peer === before.tunnel)
      ?.sas.filter((sa) => sa.state !== "deleting")
      .map((sa) => sa.keyId);
  const [oldKey] = (await keyOf(fleet.branch)) ?? [];
  const traffic = await underTraffic(async () => {
    await (await Rotation.begin(fleet, "PRE_SHARED_KEY", {})).done();
  });
  expect(traffic.lossPct).toBe(0);
  const after = await branchSpis(fleet);
  expect(after.ike).not.toBe(before.ike);
  const [newKey] = (await keyOf(fleet.branch)) ?? [];
  expect(newKey).not.toBe(oldKey);
  expect(new Set(await keyOf(fleet.headquarters))).toEqual(new Set([newKey]));
  await healthIsRight(fleet);
}, 120_000);

it("a public authority's certificate is issued over port 80 and renewed over port 443 with a new key, and used at once: no other tunnel sees it", async () => {
  const { headquarters } = fleet;
  const authority = await PublicAuthority.open(fleet);
  const laptop = await fleet.prepareRoadWarrior();
  try {
    const shows = (fingerprint: string) =>
      eventually("headquarters has it", async () => {
        const known = await headquarters.ask<{ fingerprint: string; role: string }[]>("certs --json");
        return known.some((c) => c.fingerprint === fingerprint) || undefined;
      });
    const old = await authority.issue({ challenge: "HTTP_01", keyType: "ECDSA_P256" });
    await shows(old);
    await laptop.connect(() => {});
    // Those that were deleted a moment ago are still told, without children.
    const sas = async (travellers = true) =>
      (await statusOf(headquarters)).peers
        .filter(({ name }) => travellers || name !== "Travellers")
        .flatMap(({ sas }) => sas.filter(({ children }) => children.length > 0))
        .map((sa) => [sa.spiInitiator, sa.children.map((c) => c.spiOut)]);
    const [before, { pid }] = [await sas(), headquarters];
    expect(before).toHaveLength(3);
    const traffic = await underTraffic(async () => {
      const renewed = await authority.issue({ challenge: "TLS_ALPN_01", keyType: "RSA_2048" });
      expect(renewed).not.toBe(old);
      await shows(renewed);
    });
    expect(traffic.lossPct).toBe(0);
    expect(await sas()).toEqual(before);
    expect(await laptop.callAgain()).toMatch(/RSA/);
    const tunnels = await sas(false);
    expect(tunnels).toHaveLength(2);
    expect(before).toEqual(expect.arrayContaining(tunnels));
    expect(headquarters.pid).toBe(pid);
  } finally {
    await laptop.stop();
    await authority.close();
  }
}, 120_000);

it("refuses before the push what would not negotiate, with both sides' values, and changes nothing", async () => {
  const facts =
    "query facts { intentRevisions(first: 50) { edges { node { id } } } externalPeers { edges { node { id } } } }";
  const before = await fleet.controlPlane.api.run(facts);
  const gateways = "query gateways { gateways { edges { node { id name } } } }";
  const found = await fleet.controlPlane.api.run<{ gateways: { edges: { node: { id: string; name: string } }[] } }>(
    gateways,
  );
  const headquarters = found.gateways.edges.find((e) => e.node.name === "Headquarters")?.node.id;
  const refusal = await fleet.controlPlane.api
    .run(ADD_EXTERNAL_PEER, {
      input: {
        name: "Museum",
        gatewayId: headquarters,
        host: "192.0.2.77",
        remoteIdentity: "museum.example",
        preSharedKey: "an old and rusty one",
        subnets: ["10.98.0.0/24"],
        peerIkeProposals: ["3des-sha1-modp1024"],
      },
    })
    .catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(Refused);
  const [error] = (refusal as Refused).errors;
  expect(error?.extensions).toMatchObject({ field: expect.stringMatching(/^input\./) });
  expect(error?.extensions?.ours).toMatch(/AES_GCM_16_256|aes256gcm16/i);
  expect(error?.extensions?.theirs).toMatch(/3DES/i);
  expect(await fleet.controlPlane.api.run(facts)).toEqual(before);
}, 120_000);

it("a tunnel that a peer refuses says why in the API as it does on the gateway, with both sides' values", async () => {
  const { headquarters } = fleet;
  await fleet.changePartner(["aes128-sha512-ecp384"]);
  const tunnel = (await statusOf(headquarters)).peers.find((p) => p.name.includes("Partner"))?.peer ?? "";
  await headquarters.ask(`down ${tunnel}`);
  await headquarters.ask(`up ${tunnel}`);
  const { said, shown } = await eventually("both say why", async () => {
    const said = (await statusOf(headquarters)).peers.find((p) => p.peer === tunnel)?.lastError;
    const { tunnels } = await fleet.health();
    const ends = tunnels.edges.flatMap(({ node }) => node.ends.map((end) => ({ ...end, name: node.name })));
    const shown = ends.find((end) => end.name.includes("Partner"))?.lastError;
    return said && shown ? { said, shown } : undefined;
  });
  expect(said).toMatchObject({
    code: "ike/no-proposal-chosen",
    exchange: "IKE_SA_INIT",
    ours: expect.stringMatching(/AES_CBC_256.*ECP_256/),
    theirs: "NO_PROPOSAL_CHOSEN",
  });
  const { code, message, ours, theirs, exchange } = said;
  expect(shown).toEqual({ code, message, ours, theirs, exchange });
  await fleet.changePartner();
  await headquarters.ask(`up ${tunnel}`);
  await fleet.healthy(2);
}, 120_000);

describe("a depot, whose tunnel rests on certificates", () => {
  let depot: Depot;
  beforeAll(async () => {
    depot = await Depot.open(fleet, HOME);
  }, 120_000);
  afterAll(() => depot?.stop(), 120_000);
  const killed = async () => {
    await fleet.controlPlane.kill();
    await fleet.controlPlane.start();
  };

  it("a gateway's certificate is rotated, the control plane killed midway: no packet lost", async () => {
    const before = await depot.proofs();
    const traffic = await underTraffic(async () => {
      const rotation = await Rotation.begin(fleet, "GATEWAY_CERTIFICATE", { gatewayIds: [depot.hubId] });
      await killed();
      await rotation.done();
    }, DEPOT_TO_HEADQUARTERS);
    expect(traffic.lossPct).toBe(0);
    expect(await depot.proofs({ hub: before.hub })).toEqual({ hub: expect.any(String), spoke: before.spoke });
  }, 240_000);

  it("the authority that certifies gateways is rotated, the control plane killed while they move: no packet lost", async () => {
    const before = await depot.proofs();
    const old = await depot.issuer();
    const traffic = await underTraffic(async () => {
      const rotation = await Rotation.begin(fleet, "ISSUING_AUTHORITY", { batch: 3 });
      await rotation.performed("reissue");
      await killed();
      await rotation.done();
    }, DEPOT_TO_HEADQUARTERS);
    expect(traffic.lossPct).toBe(0);
    await depot.proofs(before);
    expect(await depot.issuer()).not.toBe(old);
    expect(await depot.roots()).toEqual(await depot.trusted());
  }, 240_000);

  it("the root is rotated, the control plane killed while gateways move: no packet lost, and both roots lead to them meanwhile", async () => {
    const before = await depot.proofs();
    const [old] = await depot.trusted();
    const traffic = await underTraffic(async () => {
      const rotation = await Rotation.begin(fleet, "ROOT_AUTHORITY", { batch: 3 });
      await rotation.performed("reissue");
      // What it has begun, the rotation of the gateways' certificates, goes on.
      await rotation.steer("pauseRotation");
      await killed();
      await depot.proofs(before);
      const both = await depot.roots();
      expect(both).toEqual([expect.not.stringContaining(`${old}`), old]);
      expect(new Set(both)).toEqual(new Set(await depot.trusted()));
      await rotation.steer("resumeRotation");
      await rotation.done();
    }, DEPOT_TO_HEADQUARTERS);
    expect(traffic.lossPct).toBe(0);
    const now = await depot.trusted();
    expect(now).toEqual([expect.not.stringContaining(`${old}`)]);
    expect(await depot.roots()).toEqual(now);
  }, 240_000);

  it("a certificate that the depot has pinned is renewed with a new key: both gateways move to it, no packet lost, no other tunnel sees it", async () => {
    const builtIn = await depot.proofs();
    const authority = await PublicAuthority.open(fleet);
    try {
      const old = await authority.issue({ challenge: "HTTP_01", keyType: "ECDSA_P256" });
      expect(await depot.proofs({ hub: builtIn.hub })).toMatchObject({ hub: old });
      await depot.answers();
      const here = async () => [fleet.headquarters.pid, depot.pid, await depot.others()];
      const before = await here();
      const traffic = await underTraffic(async () => {
        const renewed = await authority.issue({ challenge: "TLS_ALPN_01", keyType: "RSA_2048" });
        expect(await depot.proofs({ hub: old })).toMatchObject({ hub: renewed });
        await eventually(
          "the old one is forgotten",
          async () => `${await depot.pinned()}` === renewed || undefined,
          90_000,
        );
      }, DEPOT_TO_HEADQUARTERS);
      expect(traffic.lossPct).toBe(0);
      expect(await here()).toEqual(before);
    } finally {
      await authority.close();
    }
  }, 240_000);

  it("a gateway whose certificate is revoked and that calls is refused, and the audit log has it by its code", async () => {
    const { spoke } = await depot.proofs();
    await depot.stop();
    expect(await depot.refusals()).toEqual([]);
    await depot.revoke(spoke);
    await depot.goOnAlone();
    await eventually("it is audited", async () => (await depot.refusals()).length > 0 || undefined, 30_000);
    expect(await depot.refusals()).toEqual(["pki/revoked"]);
  }, 120_000);
});

it("leaves nothing behind: namespaces, devices, processes, files", async () => {
  expect(await fleet.close()).toEqual([]);
  const names = new Set(await readdir("/run/netns").catch(() => []));
  expect(WORLD.namespaces.filter((n) => names.has(n.name))).toEqual([]);
  expect(await readdir("/sys/class/net")).not.toContain(CONTROL_PLANE_DEVICE);
  await expect(stat(HOME)).rejects.toThrow("ENOENT");
  expect(await processesOf(HOME)).toEqual([]);
}, 120_000);

/** Command lines of the processes that were started for the folder. */
async function processesOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const [command, environment] = await Promise.all(
      ["cmdline", "environ"].map((name) => readFile(`/proc/${pid}/${name}`, "latin1").catch(() => "")),
    );
    if (`${command}\0${environment}`.includes(folder)) found.push(`${pid} ${command?.replaceAll("\0", " ")}`);
  }
  return found;
}
