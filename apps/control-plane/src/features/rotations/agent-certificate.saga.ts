import { Injectable } from "@nestjs/common";
import { Database } from "../../platform/database/database.js";
import { AgentCommands } from "../agents/agent-commands.service.js";
import { AuthorityService } from "../certificates/authority.service.js";
import { certificateSteps } from "./certificate-steps.js";
import type { Saga, SagaStep, Subject } from "./saga.js";
import { WaitingCertificates } from "./waiting-certificates.js";

/** Seconds after which an agent is told its new certificate again. */
const TELL_AGAIN = 30;
const PURPOSE = "CONTROL_CHANNEL";

/** What an agent shows the control plane. The new certificate has the id of the rotation's item. */
@Injectable()
export class AgentCertificateSaga implements Saga {
  readonly kind = "AGENT_CERTIFICATE";
  readonly pivot: string;
  readonly steps: Saga["steps"];
  readonly undo: SagaStep;

  constructor(
    private readonly database: Database,
    private readonly certificates: WaitingCertificates,
    private readonly authorities: AuthorityService,
    private readonly commands: AgentCommands,
  ) {
    const steps = certificateSteps(certificates, PURPOSE, {
      introduce: {
        does: "The agent makes a new key, which is certified; the control plane takes both certificates.",
      },
      switch: { does: "The new certificate is the agent's; the control plane still takes the old one." },
      prove: {
        does: "The agent is given the new certificate, and opens its stream anew with it.",
        impact: "UNTOUCHED",
        repeat: TELL_AGAIN,
        perform: (subject) => this.#tell(subject),
        waitsFor: (subject) => this.#unproven(subject),
      },
      undo: { does: "The new certificate is revoked, which the agent has never had." },
    });
    ({ pivot: this.pivot, steps: this.steps, undo: this.undo } = steps);
  }

  async tunnels(): Promise<readonly string[]> {
    return [];
  }

  isSwitched(subject: Subject): Promise<boolean> {
    return this.certificates.isSwitched(subject);
  }

  async #tell(subject: Subject): Promise<void> {
    const { gateway, present } = await this.certificates.find(subject, PURPOSE);
    const above =
      present.authorityId && (await this.authorities.chain(this.database.client, null, present.authorityId));
    const chain = [present.certificate, ...(above || [])].map((der) => Buffer.from(der).toString("base64"));
    const { organizationId, id: gatewayId } = gateway;
    await this.commands.give({ organizationId, gatewayId }, { case: "useControlCertificate", value: { chain } });
  }

  async #unproven(subject: Subject): Promise<string | undefined> {
    const { gateway, present } = await this.certificates.find(subject, PURPOSE);
    const { organizationId, id: gatewayId } = gateway;
    const session = await this.database.client.agentSession.findUnique({ where: { organizationId, gatewayId } });
    if (session?.fingerprint === present.fingerprint) return undefined;
    return `the agent of ${gateway.name} has not opened a stream with the new certificate`;
  }
}
