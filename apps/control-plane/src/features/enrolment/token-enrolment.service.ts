import { createHash, randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { Injectable } from "@nestjs/common";
import {
  CONTRACT_VERSION,
  type EnrolRequest,
  type EnrolResponse,
  EnrolResponseSchema,
  encodeToken,
  OLDEST_CONTRACT_VERSION,
} from "@sallyport/contract";
import { WakeUpBus } from "../../platform/bus/bus.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { ANY_ORGANIZATION } from "../../platform/database/tenancy-guard.js";
import { apiFault } from "../../platform/faults.js";
import type { EnrolmentToken, Gateway } from "../../platform/prisma/generated/client.js";
import { systemContext, type TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { CertificateService } from "../certificates/certificate.service.js";
import { ServerCertificateService } from "../certificates/server-certificate.service.js";
import { EventService } from "../events/event.service.js";
import { IntentService } from "../intents/intent.service.js";
import { AgentEndpoints } from "./agent-endpoints.js";
import { EnrolmentService, type IssuedEnrolment } from "./enrolment.service.js";
import { fault } from "./faults.js";

const LIFETIME_MS = 24 * 3600 * 1000;
const MAX_HOSTNAME = 253;

const hashOf = (secret: Uint8Array) => Uint8Array.from(createHash("sha256").update(secret).digest());

@Injectable()
export class TokenEnrolmentService extends EnrolmentService {
  constructor(
    private readonly database: Database,
    private readonly bus: WakeUpBus,
    private readonly certificates: CertificateService,
    private readonly server: ServerCertificateService,
    private readonly endpoints: AgentEndpoints,
    private readonly intents: IntentService,
    private readonly audit: AuditService,
    private readonly events: EventService,
  ) {
    super();
  }

  override async issue(tx: Tx, context: TenantContext, gatewayId: string): Promise<IssuedEnrolment> {
    const { organizationId } = context;
    const gateway = await tx.gateway.findFirst({ where: { id: gatewayId, organizationId } });
    if (gateway === null) throw notFound(gatewayId);
    refuseRetired(gateway);
    const now = new Date();
    await tx.enrolmentToken.updateMany({
      where: { organizationId, gatewayId, usedAt: null, revokedAt: null },
      data: { revokedAt: now },
    });
    const secret = randomBytes(32);
    const expiresAt = new Date(now.getTime() + LIFETIME_MS);
    await tx.enrolmentToken.create({ data: { organizationId, gatewayId, hash: hashOf(secret), expiresAt } });
    const token = encodeToken({ secret, urls: this.endpoints.urls(), caPin: await this.server.pin(tx) });
    return { token, command: `sallyport-agent enrol --run --token ${token}`, expiresAt };
  }

  override async reissue(context: TenantContext, gatewayId: string): Promise<IssuedEnrolment> {
    return this.database.transaction(async (tx) => {
      const issued = await this.issue(tx, context, gatewayId);
      await this.audit.record(tx, context, {
        action: "reissueEnrolment",
        target: { kind: "gateway", id: gatewayId },
        after: { expiresAt: issued.expiresAt.toISOString() },
      });
      return issued;
    });
  }

  override async enrol(request: EnrolRequest, origin: string | undefined): Promise<EnrolResponse> {
    if (request.contractVersion < OLDEST_CONTRACT_VERSION || request.contractVersion > CONTRACT_VERSION) {
      throw fault(
        "enrolment/unsupported-version",
        `this agent speaks version ${request.contractVersion} of the contract`,
        {
          field: "contractVersion",
          value: String(request.contractVersion),
          expected: `${OLDEST_CONTRACT_VERSION} to ${CONTRACT_VERSION}`,
        },
      );
    }
    const { gateway, response } = await this.database.transaction((tx) => this.#enrol(tx, request, origin));
    const { id: gatewayId, organizationId } = gateway;
    // Agents that these miss find the same in the database: a lost wake-up costs time only.
    await Promise.allSettled([
      this.bus.publish("onboarding", { organizationId, gatewayId }),
      this.bus.publish("revoked", { gatewayId }),
      this.bus.publish("outbox", {}),
    ]);
    return response;
  }

  async #enrol(tx: Tx, request: EnrolRequest, origin: string | undefined) {
    const { organizationId, gatewayId } = await take(tx, request.secret);
    const gateway = await tx.gateway.findFirst({ where: { id: gatewayId, organizationId } });
    if (gateway === null) throw unknownToken();
    refuseRetired(gateway);
    const requests = { identity: request.identityCsr, control: request.controlCsr };
    const chains = await this.certificates.issue(tx, gateway, requests, { revokeEarlier: true });
    await tx.gateway.update({
      where: { id: gatewayId, organizationId },
      data: { state: "ENROLLED", enrolledAt: new Date(), agentVersion: request.agentVersion.slice(0, 64) },
    });
    const again = gateway.state === "ENROLLED";
    const host = printable(request.hostname);
    const context = systemContext(organizationId, gateway.name, { kind: "agent", id: gateway.id, origin });
    await this.audit.record(tx, context, {
      action: "enrol",
      target: { kind: "gateway", id: gatewayId },
      before: { state: gateway.state },
      after: { state: "ENROLLED", agentVersion: request.agentVersion.slice(0, 64), hostname: host },
    });
    await this.events.record(tx, organizationId, {
      kind: "gateway/enrolled",
      severity: "INFO",
      message: `${gateway.name} was enrolled${again ? " again" : ""} on ${host || "an unnamed host"}`,
      facts: origin === undefined ? { hostname: host } : { hostname: host, origin },
      gatewayId,
    });
    await this.intents.recompile(tx, organizationId);
    const response = create(EnrolResponseSchema, {
      gatewayId,
      gatewayName: gateway.name,
      identity: gateway.identity,
      identityChain: [...chains.identity],
      controlChain: [...chains.control],
      controlPlaneUrls: [...this.endpoints.urls()],
    });
    return { gateway, response };
  }
}

/** Marks the token used, which only one of several who bring it at once can do. */
async function take(tx: Tx, secret: Uint8Array): Promise<EnrolmentToken> {
  if (secret.length !== 32) throw unknownToken();
  const hash = hashOf(secret);
  const now = new Date();
  const { count } = await tx.enrolmentToken.updateMany({
    where: { organizationId: ANY_ORGANIZATION, hash, usedAt: null, revokedAt: null, expiresAt: { gt: now } },
    data: { usedAt: now },
  });
  const token = await tx.enrolmentToken.findFirst({ where: { organizationId: ANY_ORGANIZATION, hash } });
  if (token === null) throw unknownToken();
  if (count === 1) return token;
  if (token.usedAt !== null) throw refused("enrolment/token-used", `was used at ${token.usedAt.toISOString()}`);
  if (token.revokedAt !== null) throw refused("enrolment/token-replaced", "was replaced by a newer one");
  throw refused("enrolment/token-expired", `expired at ${token.expiresAt.toISOString()}`);
}

const unknownToken = () => refused("enrolment/token-unknown", "is not one of this control plane's");

function refused(code: Parameters<typeof fault>[0], why: string) {
  return fault(code, `the enrolment token ${why}`, { field: "token", expected: "a fresh token: reissueEnrolment" });
}

function refuseRetired(gateway: Gateway): void {
  if (gateway.state !== "RETIRED") return;
  throw fault("enrolment/gateway-retired", `${gateway.name} is retired`, { field: "gatewayId", value: gateway.id });
}

const notFound = (id: string) =>
  apiFault("api/not-found", `no gateway ${id}`, { field: "gatewayId", value: id, expected: "the id of a gateway" });

/** What an agent says of itself reaches logs and pages. */
const printable = (text: string) => text.replace(/[^\x21-\x7e]/g, "?").slice(0, MAX_HOSTNAME);
