import { Injectable } from "@nestjs/common";
import type { ConnectionIntent } from "@sallyport/intent";
import { pinOf, readCertificate } from "@sallyport/pki";
import type { Tx } from "../../platform/database/database.js";
import type { Certificate } from "../../platform/prisma/generated/client.js";
import { AgentCommands } from "../agents/agent-commands.service.js";
import { StoredIntentService } from "../intents/stored-intent.service.js";
import { ReportedSas } from "../rotations/reported-sas.js";

/** SHA-256 over the SubjectPublicKeyInfo, lower-case hexadecimal: what peers pin. */
export const pinText = ({ certificate }: Pick<Certificate, "certificate">) =>
  Buffer.from(pinOf(readCertificate(certificate).spki)).toString("hex");

/** A tunnel in which a gateway proves itself by its certificate of a public authority. */
interface PinningTunnel {
  readonly id: string;
  /** The connection's id in both ends' intents. */
  readonly key: string;
  /** The gateway that calls, which alone can authenticate the ends anew. */
  readonly callerId: string;
  /** The gateway at the other end, which takes no other certificate. */
  readonly peer: { readonly id: string; readonly name: string };
}

interface Of {
  readonly organizationId: string;
  readonly gatewayId: string;
}

/** Our gateways that have pinned the certificate of another one, and what they have confirmed. */
@Injectable()
export class PinningPeers {
  constructor(
    private readonly intents: StoredIntentService,
    private readonly commands: AgentCommands,
    private readonly sas: ReportedSas,
  ) {}

  /** With enrolled gateways at the other end: others have pinned nothing yet. */
  async tunnels(tx: Tx, { organizationId, gatewayId }: Of): Promise<PinningTunnel[]> {
    const other = { select: { id: true, name: true, state: true } } as const;
    const rows = await tx.tunnel.findMany({
      where: {
        organizationId,
        network: { is: { organizationId, authentication: "PUBLIC_CERTIFICATE" } },
        OR: [{ leftGatewayId: gatewayId }, { rightGatewayId: gatewayId }],
      },
      orderBy: { id: "asc" },
      select: { id: true, key: true, leftGatewayId: true, left: other, right: other },
    });
    return rows.flatMap(({ id, key, leftGatewayId: callerId, left, right }) => {
      const peer = left.id === gatewayId ? right : left;
      return peer?.state === "ENROLLED" ? [{ id, key, callerId, peer: { id: peer.id, name: peer.name } }] : [];
    });
  }

  /** The name of a gateway that does not take the certificate yet; undefined: all do, and would after a restart. */
  async notTaking(tx: Tx, of: Of, fingerprint: string): Promise<string | undefined> {
    for (const { key, peer } of await this.tunnels(tx, of)) {
      const connection = await this.#connection({ ...of, gatewayId: peer.id }, key);
      const pins = connection?.peer.method === "certificate" ? (connection.peer.fingerprints ?? []) : [];
      if (!pins.includes(fingerprint)) return peer.name;
    }
    return undefined;
  }

  /** Tunnels in which the other end does not rest on `next` alone yet, of which it has reported. */
  async unproven(tx: Tx, of: Of, next: string): Promise<PinningTunnel[]> {
    const tunnels = await this.tunnels(tx, of);
    const ends = tunnels.map(({ id: tunnelId, peer }) => ({ tunnelId, gatewayId: peer.id }));
    const verdicts = await this.sas.verdicts(of.organizationId, ends, next);
    return tunnels.filter((_, i) => verdicts[i] !== "proven");
  }

  /** Authenticates the ends anew beside the SAs that stand; false: the gateway does not run the intent by which it shows `next` yet. */
  async reauthenticate(of: Of, { key, callerId: gatewayId }: PinningTunnel, next: string): Promise<boolean> {
    const local = (await this.#connection(of, key))?.local;
    const shows = local?.method === "certificate" && local.certificates?.[0]?.fingerprint === next;
    const { organizationId } = of;
    const value = { tunnelId: key, childId: "" };
    if (shows) await this.commands.give({ organizationId, gatewayId }, { case: "reauthenticate", value });
    return shows;
  }

  async #connection({ organizationId, gatewayId }: Of, key: string): Promise<ConnectionIntent | undefined> {
    const intent = await this.intents.inForce(organizationId, gatewayId);
    return intent?.connections.find((c) => c.id === key);
  }
}
