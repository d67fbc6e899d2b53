import { Injectable } from "@nestjs/common";
import type { GatewayIntent } from "@sallyport/intent";
import { Database } from "../../platform/database/database.js";
import type { Gateway } from "../../platform/prisma/generated/client.js";
import { AgentCommands } from "../agents/agent-commands.service.js";
import { AuthorityService } from "../certificates/authority.service.js";
import { certificateSteps } from "./certificate-steps.js";
import { certificateTunnels, type Joined } from "./certificate-tunnels.js";
import { IntentWatch } from "./intent-watch.js";
import { isWanting, REAUTHENTICATE_AGAIN, ReportedSas } from "./reported-sas.js";
import type { Saga, SagaStep, Subject } from "./saga.js";
import { WaitingCertificates } from "./waiting-certificates.js";

/** Tunnels that are authenticated anew at a time; the others wait for the next time. */
const AT_ONCE = 64;
const PURPOSE = "GATEWAY_IDENTITY";

/** What a gateway shows its IKE peers. The new certificate has the id of the rotation's item. */
@Injectable()
export class GatewayCertificateSaga implements Saga {
  readonly kind = "GATEWAY_CERTIFICATE" as const;
  readonly pivot: string;
  readonly steps: Saga["steps"];
  readonly undo: SagaStep;

  constructor(
    private readonly database: Database,
    private readonly certificates: WaitingCertificates,
    private readonly authorities: AuthorityService,
    private readonly commands: AgentCommands,
    private readonly watch: IntentWatch,
    private readonly sas: ReportedSas,
  ) {
    const steps = certificateSteps(certificates, PURPOSE, {
      introduce: {
        does: "The gateway makes a new key, which is certified; it still shows the old certificate, and its peers take both.",
        waitsFor: (subject) => this.#notTrusting(subject),
      },
      switch: {
        does: "The gateway shows the new certificate from the next authentication on.",
        waitsFor: (subject) => this.#notShown(subject),
      },
      prove: {
        does: "Its tunnels are authenticated anew beside the SAs that stand, until every IKE SA of its peers rests on the new certificate.",
        impact: "REKEYED",
        repeat: REAUTHENTICATE_AGAIN,
        perform: (subject) => this.#reauthenticate(subject),
        waitsFor: (subject) => this.#unproven(subject),
      },
      undo: { does: "The new certificate is revoked, which nobody has seen." },
    });
    ({ pivot: this.pivot, steps: this.steps, undo: this.undo } = steps);
  }

  async tunnels(subject: Subject): Promise<readonly string[]> {
    return (await this.#tunnels(subject)).map(({ tunnel }) => tunnel.name);
  }

  isSwitched(subject: Subject): Promise<boolean> {
    return this.certificates.isSwitched(subject);
  }

  /** Peers that do not take what both certificates lead to. */
  async #notTrusting(subject: Subject): Promise<string | undefined> {
    const { present, made } = await this.certificates.find(subject, PURPOSE);
    const { client } = this.database;
    const rows = [present, made].flatMap((c) => (c?.authorityId ? [c.authorityId] : []));
    const roots = await Promise.all(
      [...new Set(rows)].map((id) => this.authorities.rootOf(client, subject.organizationId, id)),
    );
    for (const { peer, key } of await this.#tunnels(subject)) {
      const takes = (intent: GatewayIntent) => trusts(intent, key, roots);
      const waitsFor = await this.watch.waitsFor(peer, "accept the new certificate", takes);
      if (waitsFor !== undefined) return waitsFor;
    }
    return undefined;
  }

  async #notShown(subject: Subject): Promise<string | undefined> {
    const { gateway, present } = await this.certificates.find(subject, PURPOSE);
    const shows = ({ certificate }: GatewayIntent) => certificate?.fingerprint === present.fingerprint;
    return this.watch.waitsFor(gateway, "show the new certificate", shows);
  }

  /**
   * Who cannot be reached now is asked again later; what is missing, `#unproven` tells. Of a peer that cannot be reached no proof would
   * be heard.
   */
  async #reauthenticate(subject: Subject): Promise<void> {
    const { organizationId } = subject;
    const wanting = (await this.#judged(subject)).filter(({ verdict }) => isWanting(verdict));
    const give = async ({ key: tunnelId, leftGatewayId: gatewayId }: Joined, { id: peerId }: Gateway) => {
      if (!(await this.commands.reaches({ organizationId, gatewayId: peerId }))) return;
      const value = { tunnelId, childId: "" };
      await this.commands.give({ organizationId, gatewayId }, { case: "reauthenticate", value });
    };
    await Promise.allSettled(wanting.slice(0, AT_ONCE).map(({ tunnel, peer }) => give(tunnel, peer)));
  }

  /** A peer that is away and has no SA has nothing to lose: the next that it makes shows it the new certificate. */
  async #unproven(subject: Subject): Promise<string | undefined> {
    for (const { peer, verdict } of await this.#judged(subject)) {
      if (verdict === "proven") continue;
      const { organizationId, id: gatewayId } = peer;
      if (verdict === "none" && !(await this.commands.reaches({ organizationId, gatewayId }))) continue;
      return `${peer.name} has not reported that its IKE SAs rest on the new certificate`;
    }
    return undefined;
  }

  /** By what the peers have reported. */
  async #judged(subject: Subject) {
    const { present } = await this.certificates.find(subject, PURPOSE);
    const tunnels = await this.#tunnels(subject);
    const ends = tunnels.map(({ tunnel, peer }) => ({ tunnelId: tunnel.id, gatewayId: peer.id }));
    const verdicts = await this.sas.verdicts(subject.organizationId, ends, present.fingerprint);
    return tunnels.map((tunnel, i) => ({ ...tunnel, verdict: verdicts[i] ?? "none" }));
  }

  /** To our other gateways. */
  async #tunnels({ organizationId, subjectId }: Subject) {
    const tunnels = await certificateTunnels(this.database.client, organizationId, subjectId);
    return tunnels.map((tunnel) => ({
      tunnel,
      key: tunnel.key,
      peer: tunnel.leftGatewayId === subjectId ? tunnel.right : tunnel.left,
    }));
  }
}

/** Whether this connection of an intent takes certificates below all of these roots. */
export function trusts(
  { connections }: Pick<GatewayIntent, "connections">,
  key: string,
  roots: readonly string[],
): boolean {
  const peer = connections.find((c) => c.id === key)?.peer;
  return peer?.method === "certificate" && roots.every((id) => peer.trustAnchorIds.includes(id));
}
