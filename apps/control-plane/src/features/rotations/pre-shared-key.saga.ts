import { Injectable } from "@nestjs/common";
import type { ConnectionIntent, GatewayIntent } from "@sallyport/intent";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import type { Gateway, Tunnel } from "../../platform/prisma/generated/client.js";
import { AgentCommands } from "../agents/agent-commands.service.js";
import { StoredIntentService } from "../intents/stored-intent.service.js";
import { SecretService, type TunnelKeys } from "../secrets/secret.service.js";
import { fault } from "./faults.js";
import { IntentWatch } from "./intent-watch.js";
import { isWanting, REAUTHENTICATE_AGAIN, ReportedSas, type Verdict } from "./reported-sas.js";
import type { Guard, Saga, SagaStep, Subject } from "./saga.js";

type Target = Tunnel & { readonly left: Gateway; readonly right: Gateway | null };

/** The pre-shared key of a tunnel between two of our gateways. The new key has the id of the rotation's item. */
@Injectable()
export class PreSharedKeySaga implements Saga {
  readonly kind = "PRE_SHARED_KEY";
  readonly pivot = "switch";
  readonly steps: readonly [SagaStep, ...SagaStep[]] = [
    {
      name: "introduce",
      does: "A new key is made, and both ends accept it beside the old one.",
      impact: "UNTOUCHED",
      perform: (subject, guard) => this.#introduce(subject, guard),
      waitsFor: (subject) => this.#bothRun(subject, "accept the new key", ({ peer }) => accepts(peer, subject.id)),
    },
    {
      name: "switch",
      does: "Both ends prove themselves by the new key from the next authentication on, and still accept the old one.",
      impact: "UNTOUCHED",
      perform: (subject, guard) => this.#switch(subject, guard),
      waitsFor: (subject) =>
        this.#bothRun(subject, "use the new key", ({ local }) => "keyId" in local && local.keyId === subject.id),
    },
    {
      name: "prove",
      does: "The ends authenticate each other anew beside the SAs that stand, until every IKE SA rests on the new key.",
      impact: "REKEYED",
      repeat: REAUTHENTICATE_AGAIN,
      perform: (subject) => this.#reauthenticate(subject),
      waitsFor: (subject) => this.#unproven(subject),
    },
    {
      name: "retire",
      does: "The old key is deleted, and no end accepts it any more.",
      impact: "UNTOUCHED",
      perform: (subject, guard) => this.#drop(subject, guard),
      waitsFor: (subject) =>
        this.#bothRun(subject, "forget the old key", ({ peer }) => isOnly(peer, (id) => id === subject.id)),
    },
  ];
  readonly undo: SagaStep = {
    name: "undo",
    does: "The new key is deleted, and no end accepts it any more.",
    impact: "UNTOUCHED",
    perform: (subject, guard) => this.#drop(subject, guard),
    // What they run may be from before the new key was introduced, with that still on its way to them.
    waitsFor: (subject) =>
      this.#bothRun(subject, "forget the new key", ({ peer }) => isOnly(peer, (id) => id !== subject.id), {
        settled: true,
      }),
  };

  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly secrets: SecretService,
    private readonly intents: StoredIntentService,
    private readonly commands: AgentCommands,
    private readonly watch: IntentWatch,
    private readonly sas: ReportedSas,
  ) {}

  async gateways(organizationId: string, subjectIds: readonly string[]) {
    const where = { organizationId, id: { in: [...subjectIds] } };
    const select = { id: true, leftGatewayId: true, rightGatewayId: true } as const;
    const rows = await this.database.client.tunnel.findMany({ where, select });
    return new Map(
      rows.map(({ id, leftGatewayId: left, rightGatewayId: right }) => [id, right ? [left, right] : [left]]),
    );
  }

  async tunnels({ name }: Subject): Promise<readonly string[]> {
    return [name];
  }

  async isSwitched(subject: Subject): Promise<boolean> {
    const tunnel = await this.#find(this.database.client, subject);
    return (await this.#keys(this.database.client, tunnel)).usedId === subject.id;
  }

  #introduce(subject: Subject, guard: Guard): Promise<void> {
    return this.#change(subject, guard, async (tx, { usedId, besideId }) => {
      if (usedId === subject.id || besideId === subject.id) return false;
      if (besideId !== undefined) throw fault("rotation/under-way", `${subject.name}: another key is being introduced`);
      await this.secrets.createTunnelKey(tx, subject.organizationId, { id: subject.id, besideId: usedId });
      return true;
    });
  }

  #switch(subject: Subject, guard: Guard): Promise<void> {
    return this.#change(subject, guard, async (tx, keys) => {
      if (keys.besideId !== subject.id) return false;
      await this.secrets.switchTunnelKey(tx, subject.organizationId, keys);
      return true;
    });
  }

  #drop(subject: Subject, guard: Guard): Promise<void> {
    return this.#change(subject, guard, async (tx, keys) => {
      if (keys.usedId !== subject.id && keys.besideId !== subject.id) return false;
      return this.secrets.retireBeside(tx, subject.organizationId, keys);
    });
  }

  /** Has the intents compiled anew when `work` says that it changed something. */
  #change(subject: Subject, guard: Guard, work: (tx: Tx, keys: TunnelKeys) => Promise<boolean>): Promise<void> {
    return this.changes.commit(subject, async (tx) => {
      await guard(tx);
      const tunnel = await this.#find(tx, subject);
      if (await work(tx, await this.#keys(tx, tunnel))) await this.intents.recompile(tx, subject.organizationId);
    });
  }

  async #reauthenticate(subject: Subject): Promise<void> {
    const { organizationId } = subject;
    const ends = await this.#judged(subject);
    if (!ends.some(({ verdict }) => isWanting(verdict))) return;
    const { key, leftGatewayId: gatewayId } = await this.#find(this.database.client, subject);
    const value = { tunnelId: key, childId: "" };
    await this.commands.give({ organizationId, gatewayId }, { case: "reauthenticate", value });
  }

  async #unproven(subject: Subject): Promise<string | undefined> {
    const missing = (await this.#judged(subject)).find(({ verdict }) => verdict !== "proven");
    return missing && `${missing.gateway.name} has not reported that its IKE SAs rest on the new key`;
  }

  /** By what the ends have reported. */
  async #judged(subject: Subject): Promise<{ gateway: Gateway; verdict: Verdict }[]> {
    const { id: tunnelId, left, right } = await this.#find(this.database.client, subject);
    const gateways = right ? [left, right] : [left];
    const ends = gateways.map(({ id: gatewayId }) => ({ tunnelId, gatewayId }));
    const verdicts = await this.sas.verdicts(subject.organizationId, ends, subject.id);
    return gateways.map((gateway, i) => ({ gateway, verdict: verdicts[i] ?? "none" }));
  }

  /** Whether the intents that both gateways run, and would run after a restart, have a connection like this. */
  async #bothRun(
    subject: Subject,
    what: string,
    is: (connection: ConnectionIntent) => boolean,
    options: { readonly settled?: boolean } = {},
  ): Promise<string | undefined> {
    const { key, left, right } = await this.#find(this.database.client, subject);
    const has = ({ connections }: GatewayIntent) => connections.some((c) => c.id === key && is(c));
    for (const gateway of [left, right]) {
      const waitsFor = gateway && (await this.watch.waitsFor(gateway, what, has, options));
      if (waitsFor) return waitsFor;
    }
    return undefined;
  }

  async #find(tx: Tx, { organizationId, subjectId, name }: Subject): Promise<Target> {
    const include = { left: true, right: true } as const;
    const tunnel = await tx.tunnel.findUnique({ where: { organizationId, id: subjectId }, include });
    if (tunnel) return tunnel;
    throw fault("rotation/subject-gone", `there is no tunnel ${name} any more`);
  }

  async #keys(tx: Tx, { organizationId, key, name }: Tunnel): Promise<TunnelKeys> {
    const keys = await this.secrets.keysOfTunnel(tx, organizationId, key);
    if (keys) return keys;
    throw fault("rotation/subject-gone", `${name} has no pre-shared key any more`);
  }
}

function keyIdsOf(peer: ConnectionIntent["peer"]): readonly string[] {
  return peer.method === "psk" ? [peer.keyId, ...(peer.alsoAccepted ?? []).map(({ keyId }) => keyId)] : [];
}

const accepts = (peer: ConnectionIntent["peer"], keyId: string) => keyIdsOf(peer).includes(keyId);

/** Whether it takes one key alone, which `is` the right one. */
function isOnly(peer: ConnectionIntent["peer"], is: (keyId: string) => boolean): boolean {
  const [first, ...others] = keyIdsOf(peer);
  return first !== undefined && others.length === 0 && is(first);
}
