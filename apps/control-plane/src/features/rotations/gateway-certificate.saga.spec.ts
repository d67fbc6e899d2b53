import { beforeEach, describe, expect, test } from "@jest/globals";
import type { GatewayIntent } from "@sallyport/intent";
import type { Database } from "../../platform/database/database.js";
import type { AgentCommands } from "../agents/agent-commands.service.js";
import type { AuthorityService } from "../certificates/authority.service.js";
import type { StoredIntentService } from "../intents/stored-intent.service.js";
import { GatewayCertificateSaga } from "./gateway-certificate.saga.js";
import { IntentWatch } from "./intent-watch.js";
import { ReportedSas } from "./reported-sas.js";
import { type Subject, stepOf } from "./saga.js";
import type { WaitingCertificates } from "./waiting-certificates.js";

/** A hub and the spokes that call it, in the words of what the saga asks. */
class Fleet {
  readonly spokes = ["s1", "s2"];
  readonly trusted = new Map<string, string[]>(this.spokes.map((id) => [id, ["old root"]]));
  readonly sas: { state: string; keyId: string | null; end: { tunnelId: string; gatewayId: string } }[] = [];
  /** By spoke; without, the spoke itself. */
  readonly callers = new Map<string, string>();
  readonly away = new Set<string>();
  readonly reauthenticated: string[] = [];
  shown = "old";
  refused: string | undefined;

  readonly saga = this.#make();

  report(spoke: string, keyId: string | null, state = "established"): void {
    this.sas.push({ state, keyId, end: { tunnelId: `t-${spoke}`, gatewayId: spoke } });
  }

  #make(): GatewayCertificateSaga {
    const hub = { id: "hub", organizationId: "o", name: "Hub" };
    const tunnels = () =>
      this.spokes.map((id) => {
        const spoke = { id, organizationId: "o", name: id };
        const [left, right] = this.callers.get(id) === "hub" ? [hub, spoke] : [spoke, hub];
        const ends = { leftGatewayId: left.id, rightGatewayId: right.id, left, right };
        return { id: `t-${id}`, key: `tun-${id}`, name: `${id} – hub`, organizationId: "o", ...ends };
      });
    const client = {
      tunnel: { findMany: async () => tunnels() },
      // More than was asked for: another gateway's ends of the same tunnels.
      ikeSa: {
        findMany: async () => [
          ...this.sas,
          ...this.spokes.map((id) => ({
            ...{ state: "established", keyId: "a spoke's" },
            end: { tunnelId: `t-${id}`, gatewayId: "hub" },
          })),
        ],
      },
    };
    const intents = {
      inForce: async (_: string, id: string) => {
        const peer = { method: "certificate", trustAnchorIds: this.trusted.get(id) ?? [] };
        const connections = [{ id: `tun-${id}`, peer }];
        return { connections, certificate: { fingerprint: this.shown } } as unknown as GatewayIntent;
      },
      refusal: async () => this.refused,
    };
    const database = { client } as unknown as Database;
    const certificates = {
      find: async () => ({
        gateway: hub,
        present: { fingerprint: "new", authorityId: "new issuing" },
        made: { fingerprint: "new", authorityId: "new issuing" },
      }),
    };
    const commands = {
      reaches: async ({ gatewayId }: { gatewayId: string }) => !this.away.has(gatewayId),
      give: async ({ gatewayId }: { gatewayId: string }, { value }: { value: { tunnelId: string } }) => {
        if (this.away.has(gatewayId)) throw new Error("not connected");
        this.reauthenticated.push(value.tunnelId);
      },
    };
    return new GatewayCertificateSaga(
      database,
      certificates as unknown as WaitingCertificates,
      {
        rootOf: async (_: unknown, __: string, id: string) => id.replace("issuing", "root"),
      } as unknown as AuthorityService,
      commands as unknown as AgentCommands,
      new IntentWatch(intents as unknown as StoredIntentService),
      new ReportedSas(database),
    );
  }
}

const subject: Subject = { id: "item", organizationId: "o", rotationId: "r", subjectId: "hub", name: "Hub" };
const guard = async () => undefined;

let fleet: Fleet;
beforeEach(() => {
  fleet = new Fleet();
});
const waitsFor = (step: string) => stepOf(fleet.saga, step).waitsFor(subject);
const perform = (step: string) => stepOf(fleet.saga, step).perform(subject, guard);

describe("a gateway's new certificate", () => {
  test("is not shown before all peers trust its root", async () => {
    expect(await waitsFor("introduce")).toBe("s1 does not accept the new certificate yet");
    fleet.trusted.set("s1", ["new root", "old root"]);
    expect(await waitsFor("introduce")).toBe("s2 does not accept the new certificate yet");
    fleet.trusted.set("s2", ["new root", "old root"]);
    expect(await waitsFor("introduce")).toBeUndefined();
  });

  test("is switched to when the gateway runs an intent that names it, and not when its agent refuses that", async () => {
    expect(await waitsFor("switch")).toBe("Hub does not show the new certificate yet");
    fleet.refused = "revision 2: no";
    await expect(waitsFor("switch")).rejects.toMatchObject({ code: "rotation/refused" });
    fleet.shown = "new";
    expect(await waitsFor("switch")).toBeUndefined();
  });

  test("is proven by the peers' SAs alone, and only who has not proven it is asked", async () => {
    fleet.report("s1", "new");
    fleet.report("s2", "old");
    expect(await waitsFor("prove")).toBe("s2 has not reported that its IKE SAs rest on the new certificate");
    await perform("prove");
    expect(fleet.reauthenticated).toEqual(["tun-s2"]);
    fleet.report("s2", "new");
    expect(await waitsFor("prove")).toMatch(/^s2 /);
    fleet.sas.splice(1, 1);
    expect(await waitsFor("prove")).toBeUndefined();
    await perform("prove");
    expect(fleet.reauthenticated).toHaveLength(1);
  });

  test("is waited for without another authentication where the old one's SA is on its way out", async () => {
    fleet.report("s1", "new");
    fleet.report("s1", "old", "rekeyed");
    fleet.report("s2", "new");
    await perform("prove");
    expect(fleet.reauthenticated).toEqual([]);
    expect(await waitsFor("prove")).toMatch(/^s1 /);
  });

  test("is not asked for where nobody would tell of it", async () => {
    fleet.callers.set("s1", "hub");
    for (const spoke of fleet.spokes) fleet.report(spoke, "old");
    fleet.away.add("s1");
    await perform("prove");
    expect(fleet.reauthenticated).toEqual(["tun-s2"]);
  });

  test("is not waited for at a peer that is away, unless that has an SA on another one", async () => {
    fleet.report("s1", "new");
    expect(await waitsFor("prove")).toMatch(/^s2 /);
    fleet.away.add("s2");
    expect(await waitsFor("prove")).toBeUndefined();
    fleet.report("s2", "old");
    expect(await waitsFor("prove")).toMatch(/^s2 /);
    await perform("prove");
    expect(fleet.reauthenticated).toEqual([]);
  });

  test("is told with the tunnels that it is about", async () => {
    expect(await fleet.saga.tunnels(subject)).toEqual(["s1 – hub", "s2 – hub"]);
  });
});
