import { once } from "node:events";
import type { GatewayIntent } from "@sallyport/intent";
import { readCertificate } from "@sallyport/pki";
import { eventually, firstReply, spawnIn } from "@sallyport/testkit";
import { IntentStore } from "../../apps/agent/src/store/index.js";
import type { Fleet } from "../../tools/demo/fleet.ts";
import { Gateway } from "../../tools/demo/gateway.ts";
import {
  CREATE_NETWORK,
  type CreateNetwork,
  type MadeGateway,
  ONBOARD_SITE,
  type OnboardSite,
} from "../../tools/demo/operations.ts";
import { CONTROL_PLANE_ADDRESS, HEADQUARTERS, NS } from "../../tools/demo/world.ts";
import { type Path, statusOf } from "./scenario.js";

const SITE = "Depot";
const ADDRESS = "10.40.0.1";
export const DEPOT_TO_HEADQUARTERS: Path = { from: NS.laptop, to: HEADQUARTERS.host, source: ADDRESS };

const CERTIFICATES = `query certificates($gatewayId: ID!) {
  certificates(filter: { gatewayId: $gatewayId, states: [VALID] }) { edges { node { id fingerprint } } }
}`;
const REVOKE = "mutation revoke($input: RevokeCertificateInput!) { revokeCertificate(input: $input) { id } }";
const AUDIT = "query audit { auditEntries(first: 20) { edges { node { action targetId after } } } }";

interface Certificates {
  readonly certificates: {
    readonly edges: readonly { readonly node: { readonly id: string; readonly fingerprint: string } }[];
  };
}
interface Audit {
  readonly auditEntries: {
    readonly edges: readonly {
      readonly node: {
        readonly action: string;
        readonly targetId: string;
        readonly after: { readonly code?: string; readonly who?: string | null } | null;
      };
    }[];
  };
}
const GATEWAYS = "query gateways { gateways(first: 10) { edges { node { id name identity } } } }";
interface Gateways {
  readonly gateways: { readonly edges: readonly { readonly node: MadeGateway }[] };
}

/**
 * A site whose tunnel to headquarters rests on certificates: of the built-in CA as long as headquarters has none of a public authority. It
 * is where the laptop is otherwise, and has no machine but the gateway.
 */
export class Depot {
  private constructor(
    private readonly fleet: Fleet,
    private readonly gateway: Gateway,
    readonly hubId: string,
    readonly gatewayId: string,
    readonly identity: string,
  ) {}

  static async open(fleet: Fleet, home: string): Promise<Depot> {
    const { api } = fleet.controlPlane;
    const adding = spawnIn(NS.laptop, "ip", ["address", "add", `${ADDRESS}/32`, "dev", "lo"], { stdio: "ignore" });
    const [{ gateways }] = await Promise.all([api.run<Gateways>(GATEWAYS), once(adding, "exit")]);
    const hub = gateways.edges.find(({ node }) => node.name === "Headquarters")?.node.id ?? "";
    const { createNetwork } = await api.run<CreateNetwork>(CREATE_NETWORK, {
      input: { name: "Depots", hubGatewayIds: [hub], authentication: "PUBLIC_CERTIFICATE" },
    });
    const { onboardSite } = await api.run<OnboardSite>(ONBOARD_SITE, {
      input: { name: SITE, subnets: [`${ADDRESS}/32`], gateway: {}, networkId: createNetwork.id },
    });
    const { id, identity } = onboardSite.gateway;
    const gateway = new Gateway({ name: "depot", namespace: NS.laptop, dataPlane: "userspace", home });
    const depot = new Depot(fleet, gateway, hub, id, identity);
    try {
      await gateway.enrol(onboardSite.enrolment.command);
      await depot.answers();
    } catch (error) {
      await gateway.stop();
      throw error;
    }
    return depot;
  }

  /** A packet comes back through the tunnel. */
  answers(): Promise<unknown> {
    const options = { source: ADDRESS, timeoutMs: 60_000 };
    return this.gateway.whileRunning(firstReply(NS.laptop, HEADQUARTERS.host, options));
  }

  stop(): Promise<void> {
    return this.gateway.stop();
  }

  /** Revokes what the depot shows headquarters. */
  async revoke(fingerprint: string): Promise<void> {
    const { api } = this.fleet.controlPlane;
    const { certificates } = await api.run<Certificates>(CERTIFICATES, { gatewayId: this.gatewayId });
    const id = certificates.edges.find(({ node }) => node.fingerprint === fingerprint)?.node.id;
    await api.run(REVOKE, { input: { id, reason: "KEY_COMPROMISE" } });
  }

  /** Codes by which the audit log has it that headquarters has refused the depot. */
  async refusals(): Promise<(string | undefined)[]> {
    const { auditEntries } = await this.fleet.controlPlane.api.run<Audit>(AUDIT);
    const entries = auditEntries.edges.map(({ node }) => node);
    const ours = entries.filter(({ action, targetId }) => action === "refusePeer" && targetId === this.hubId);
    return ours.filter(({ after }) => after?.who === this.identity).map(({ after }) => after?.code);
  }

  /** Starts again without the control plane, on its last good intent. */
  async goOnAlone(): Promise<void> {
    const args = ["route", "add", "blackhole", `${CONTROL_PLANE_ADDRESS}/32`];
    const blocked = await once(spawnIn(NS.laptop, "ip", args, { stdio: "ignore" }), "exit");
    if (blocked[0] !== 0) throw new Error(`ip ${args.join(" ")} failed`);
    await this.gateway.run();
  }

  get pid(): number {
    return this.gateway.pid;
  }

  /**
   * The certificates, by SHA-256, that the tunnel's one IKE SA rests on: what headquarters has proved itself to the depot by, and what the
   * depot has to headquarters. Waits until each is another one than in `before`.
   */
  async proofs(before: Partial<Proofs> = {}): Promise<Proofs> {
    const peer = (await statusOf(this.gateway)).peers[0]?.peer ?? "";
    const [hub, spoke] = await Promise.all([
      restsOn(this.gateway, peer, before.hub),
      restsOn(this.fleet.headquarters, peer, before.spoke),
    ]);
    return { hub, spoke };
  }

  /** By the last good intent of headquarters: who has certified the authority that its certificate is of, as often as it shows that. */
  async roots(): Promise<string[]> {
    const { certificate } = await lastGood(this.fleet.headquarters);
    return certificate?.intermediates.map((der) => facts(der).issuer) ?? [];
  }

  /** By the last good intent of headquarters: the authority that its certificate is of. */
  async issuer(): Promise<string> {
    const { certificate } = await lastGood(this.fleet.headquarters);
    return facts(certificate?.intermediates[0] ?? "").subject;
  }

  /** The very certificates, by SHA-256, of which headquarters has to show one. */
  async pinned(): Promise<readonly string[]> {
    const peer = (await lastGood(this.gateway)).connections[0]?.peer;
    return peer?.method === "certificate" ? (peer.fingerprints ?? []) : [];
  }

  /** The SPIs of all that headquarters has but the depot's. */
  async others(): Promise<unknown[]> {
    const { peers } = await statusOf(this.fleet.headquarters);
    // Those that were deleted a moment ago are still told, without children.
    const sas = peers.filter(({ name }) => name !== SITE).flatMap((p) => p.sas.filter((sa) => sa.children.length > 0));
    return sas.map((sa) => [sa.spiInitiator, sa.children.map((c) => c.spiOut)]);
  }

  /** The roots that the depot takes certificates below. */
  async trusted(): Promise<string[]> {
    return (await lastGood(this.gateway)).trustAnchors.map(({ der }) => facts(der).subject);
  }
}

async function lastGood(gateway: Gateway): Promise<GatewayIntent> {
  const { intent } = await new IntentStore(gateway.state).load();
  if (!intent) throw new Error(`the gateway in ${gateway.namespace} has no intent`);
  return intent;
}

function facts(der: string) {
  const { subject, issuer } = readCertificate(Buffer.from(der, "base64"));
  return { subject: subject.text, issuer: issuer.text };
}

export interface Proofs {
  readonly hub: string;
  readonly spoke: string;
}

function restsOn(gateway: Gateway, peer: string, before = ""): Promise<string> {
  return eventually(
    `the agent of ${gateway.namespace} has one IKE SA, by another certificate`,
    async () => {
      const sas = (await statusOf(gateway)).peers.find((p) => p.peer === peer)?.sas ?? [];
      const [sa, ...more] = sas.filter(({ state }) => state === "established");
      return sa?.keyId && sa.keyId !== before && more.length === 0 ? sa.keyId : undefined;
    },
    90_000,
  );
}
