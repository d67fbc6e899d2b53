import { Injectable } from "@nestjs/common";
import { gatewayIdOf, readCertificate } from "@sallyport/pki";
import { Database } from "../../platform/database/database.js";
import { ANY_ORGANIZATION } from "../../platform/database/tenancy-guard.js";
import { fault } from "./faults.js";

/** What the TLS handshake proved: the DER of a certificate whose chain and validity were verified. */
export interface PresentedCertificate {
  readonly der: Uint8Array;
  /** Address that the agent connected from. */
  readonly origin: string | undefined;
}

/** The gateway that a certificate stands for. */
export interface AgentPeer {
  readonly gatewayId: string;
  readonly organizationId: string;
  readonly name: string;
  /** IKE identity. */
  readonly identity: string;
  readonly fingerprint: string;
  readonly origin: string | undefined;
}

/** Who an agent is, and whether it still may be that. */
@Injectable()
export class AgentPeerService {
  constructor(private readonly database: Database) {}

  /** @throws agents/unauthenticated, agents/revoked */
  async identify(presented: PresentedCertificate | undefined): Promise<AgentPeer> {
    if (presented === undefined) {
      throw fault("agents/unauthenticated", "this needs a certificate of the control channel's CA", {
        expected: "a gateway that was enrolled",
      });
    }
    const certificate = readCertificate(presented.der);
    const gatewayId = gatewayIdOf(certificate);
    if (gatewayId === undefined) throw fault("agents/unauthenticated", "the certificate names no gateway");
    const gateway = await this.#gatewayOf(certificate.fingerprint);
    if (gateway === undefined || gateway.id !== gatewayId) {
      throw fault("agents/revoked", "the certificate is revoked, or its gateway retired", {
        value: certificate.serial,
        expected: "to be enrolled again",
      });
    }
    return {
      gatewayId,
      organizationId: gateway.organizationId,
      name: gateway.name,
      identity: gateway.identity,
      fingerprint: certificate.fingerprint,
      origin: presented.origin,
    };
  }

  /** Whether a stream that was opened with this certificate may go on. */
  async isGood(fingerprint: string): Promise<boolean> {
    return (await this.#gatewayOf(fingerprint)) !== undefined;
  }

  async #gatewayOf(fingerprint: string) {
    const row = await this.database.client.certificate.findFirst({
      where: {
        organizationId: ANY_ORGANIZATION,
        fingerprint,
        purpose: "CONTROL_CHANNEL",
        revokedAt: null,
        gateway: { state: "ENROLLED" },
      },
      select: { gateway: { select: { id: true, organizationId: true, name: true, identity: true } } },
    });
    return row?.gateway ?? undefined;
  }
}
