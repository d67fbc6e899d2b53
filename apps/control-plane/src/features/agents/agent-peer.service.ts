import { Injectable } from "@nestjs/common";
import { fingerprintOf, gatewayIdOf, readCertificate } from "@sallyport/pki";
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
    // The row of what we issued says whose it is: a fleet that comes at once is not kept waiting by taking certificates apart.
    const fingerprint = fingerprintOf(presented.der);
    const gateway = await this.#gatewayOf(fingerprint);
    if (gateway === undefined) throw refusal(presented.der);
    const { id: gatewayId, organizationId, name, identity } = gateway;
    return { gatewayId, organizationId, name, identity, fingerprint, origin: presented.origin };
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

function refusal(der: Uint8Array) {
  const certificate = readCertificate(der);
  if (gatewayIdOf(certificate) === undefined) {
    return fault("agents/unauthenticated", "the certificate names no gateway");
  }
  return fault("agents/revoked", "the certificate is revoked, or its gateway retired", {
    value: certificate.serial,
    expected: "to be enrolled again",
  });
}
