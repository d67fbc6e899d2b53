import { Injectable } from "@nestjs/common";
import { Prefix } from "@sallyport/base";
import { Changes } from "../../platform/database/changes.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { checkHost, checkName, checkPort, checkSubnets, checkUuid } from "../../platform/input.js";
import type { ExternalPeer } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { EventService } from "../events/event.service.js";
import { GatewayService } from "../gateways/gateway.service.js";
import { IntentService } from "../intents/intent.service.js";
import { Planner } from "../intents/planner.js";
import { checkProposals } from "../networks/network.service.js";
import { SecretService } from "../secrets/secret.service.js";
import { ExternalPeerStore } from "./external-peer.store.js";
import { identityText, parseIdentity } from "./identity.js";

export interface NewExternalPeer {
  readonly name: string;
  readonly gatewayId: string;
  readonly host?: string | null | undefined;
  readonly ikePort: number;
  readonly nattPort: number;
  readonly preSharedKey: string;
  readonly remoteIdentity?: string | null | undefined;
  readonly localIdentity?: string | null | undefined;
  readonly subnets: readonly string[];
  readonly ikeProposals: readonly string[];
  readonly espProposals: readonly string[];
  readonly peerIkeProposals: readonly string[];
  readonly peerEspProposals: readonly string[];
}

/** Where compile's and the proof's faults about a peer point to in the input. */
const FIELDS = [
  [/\.host$/, "input.host"],
  [/ikeProposals/i, "input.peerIkeProposals"],
  [/espProposals/i, "input.peerEspProposals"],
  [/authentication|identity/i, "input.remoteIdentity"],
  [/^role$/, "input.host"],
  [/subnets/i, "input.subnets"],
] as const;

@Injectable()
export class ExternalPeerService {
  constructor(
    private readonly changes: Changes,
    private readonly store: ExternalPeerStore,
    private readonly gateways: GatewayService,
    private readonly secrets: SecretService,
    private readonly planner: Planner,
    private readonly intents: IntentService,
    private readonly events: EventService,
    private readonly audit: AuditService,
  ) {}

  async add(context: TenantContext, input: NewExternalPeer): Promise<ExternalPeer> {
    const { organizationId } = context;
    const { columns, subnets } = checked(input);
    return this.changes.commit(context, async (tx) => {
      if (await this.store.nameTaken(tx, organizationId, columns.name)) {
        throw apiFault("api/name-taken", "there is an external peer with this name", {
          field: "input.name",
          value: columns.name,
          expected: "a name that no other external peer of the organization has",
        });
      }
      const gateway = await this.gateways.getIn(tx, organizationId, input.gatewayId, "input.gatewayId");
      await this.planner.refuseOverlaps(tx, organizationId, subnets, "input.subnets");
      const key = await this.secrets.createPreSharedKey(
        tx,
        organizationId,
        `pre-shared key of ${columns.name}`,
        input.preSharedKey,
        "input.preSharedKey",
      );
      const peer = await this.store.create(tx, {
        ...columns,
        organizationId,
        gatewayId: gateway.id,
        secretId: key.id,
        subnets: { create: subnets.map((prefix) => ({ organizationId, prefix })) },
      });
      await this.planner.settle(tx, organizationId, {
        ownerId: peer.id,
        subnetsField: "input.subnets",
        fields: FIELDS,
      });
      await this.intents.recompile(tx, organizationId);
      const after = { ...columns, gatewayId: gateway.id, subnets, preSharedKey: input.preSharedKey };
      const target = { kind: "externalPeer", id: peer.id };
      await this.audit.record(tx, context, { action: "addExternalPeer", target, after });
      await this.events.record(tx, organizationId, {
        kind: "peer/added",
        severity: "INFO",
        message: `${columns.name} was added as an external peer of ${gateway.name}`,
        gatewayId: gateway.id,
      });
      return peer;
    });
  }

  async remove(context: TenantContext, rawId: string): Promise<ExternalPeer> {
    const { organizationId } = context;
    const id = checkUuid(rawId, "id");
    return this.changes.commit(context, async (tx) => {
      const peer = await this.store.byId(tx, organizationId, id);
      if (!peer) {
        throw apiFault("api/not-found", "there is no such external peer", {
          field: "id",
          value: id,
          expected: "the id of an external peer",
        });
      }
      await this.store.remove(tx, peer);
      await this.planner.settle(tx, organizationId);
      await this.intents.recompile(tx, organizationId);
      const { name, gatewayId, host } = peer;
      const target = { kind: "externalPeer", id };
      await this.audit.record(tx, context, { action: "removeExternalPeer", target, before: { name, gatewayId, host } });
      return peer;
    });
  }

  async byIds(context: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, ExternalPeer>> {
    return new Map((await this.store.byIds(context.organizationId, ids)).map((p) => [p.id, p]));
  }

  /** Canonical prefixes by peer id. */
  async subnets(context: TenantContext, peerIds: readonly string[]): Promise<ReadonlyMap<string, string[]>> {
    const rows = await this.store.subnets(context.organizationId, peerIds);
    const grouped = Map.groupBy(rows, (row) => row.externalPeerId);
    return new Map([...grouped].map(([id, list]) => [id, list.map((row) => Prefix.parse(row.prefix).toString())]));
  }

  list(context: TenantContext, args: PageArgs): Promise<Connection<ExternalPeer>> {
    return page(args, (request) => this.store.page(context.organizationId, request));
  }
}

function checked(input: NewExternalPeer) {
  const host = input.host ? checkHost(input.host, "input.host") : null;
  const remote = input.remoteIdentity ?? host;
  if (remote === null) {
    throw apiFault("api/bad-input", "a peer that calls from anywhere is known by its identity alone", {
      field: "input.remoteIdentity",
      expected: "an address, a DNS name, a mailbox or a key id",
    });
  }
  const local = input.localIdentity ? parseIdentity(input.localIdentity, "input.localIdentity") : undefined;
  const columns = {
    name: checkName(input.name, "input.name"),
    host,
    ikePort: checkPort(input.ikePort, "input.ikePort"),
    nattPort: checkPort(input.nattPort, "input.nattPort"),
    remoteIdentity: identityText(parseIdentity(remote, "input.remoteIdentity")),
    localIdentity: local ? identityText(local) : null,
    ikeProposals: checkProposals(input.ikeProposals, "ike", "input.ikeProposals"),
    espProposals: checkProposals(input.espProposals, "esp", "input.espProposals"),
    declaredIkeProposals: checkProposals(input.peerIkeProposals, "ike", "input.peerIkeProposals"),
    declaredEspProposals: checkProposals(input.peerEspProposals, "esp", "input.peerEspProposals"),
  };
  return { columns, subnets: checkSubnets(input.subnets, "input.subnets").map(String) };
}
