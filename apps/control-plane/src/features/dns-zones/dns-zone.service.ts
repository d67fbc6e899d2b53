import { randomUUIDv7 } from "node:crypto";
import { Inject, Injectable } from "@nestjs/common";
import { isWithin, type TextChange, type TsigAlgorithm } from "@sallyport/dns";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page, pageQuery } from "../../platform/graphql/connection.js";
import { checkUuid } from "../../platform/input.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { DnsZone } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { Vault } from "../../platform/vault/vault.js";
import { AuditService } from "../audit/audit.service.js";
import { fault } from "./faults.js";
import { updateZone } from "./name-server.js";
import { runProgram } from "./program.js";
import { checkAccess, checkZoneName, noZone, type ZoneAccess } from "./zone-input.js";

/** Names what a zone's key is sealed for. */
export const zonePlace = (id: string) => `dns-zone/${id}`;

/** Zones of one organization. */
const MAX_ZONES = 1_000;

const facts = ({ name, method, nameServers, server, keyName, algorithm, program }: DnsZone) => ({
  ...{ name, method, nameServers, server, keyName, algorithm, program },
});

/** The zone among `zones` that a name is in: the longest one. */
export function zoneOf<T extends Pick<DnsZone, "name">>(zones: readonly T[], name: string): T | undefined {
  return zones.filter((zone) => isWithin(name, zone.name)).sort((a, b) => b.name.length - a.name.length)[0];
}

/** DNS zones, how they are changed, and their keys, sealed. */
@Injectable()
export class DnsZoneService {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly changes: Changes,
    private readonly database: Database,
    private readonly vault: Vault,
    private readonly audit: AuditService,
  ) {}

  create(context: TenantContext, input: ZoneAccess & { readonly name: string }): Promise<DnsZone> {
    const { organizationId } = context;
    const name = checkZoneName(input.name);
    const { columns, secret } = checkAccess(input);
    const id = randomUUIDv7();
    return this.changes.commit(context, async (tx) => {
      if (await tx.dnsZone.findFirst({ where: { organizationId, name } })) {
        throw apiFault("api/name-taken", "the zone is described already", {
          field: "input.name",
          value: name,
          expected: "a zone that is not described yet",
        });
      }
      if ((await tx.dnsZone.count({ where: { organizationId } })) >= MAX_ZONES) {
        const detail = { field: "input.name", value: name, expected: `at most ${MAX_ZONES} zones` };
        throw apiFault("api/bad-input", "too many zones", detail);
      }
      const zone = await tx.dnsZone.create({
        data: { id, organizationId, name, ...columns, ...this.#seal(id, secret) },
      });
      const target = { kind: "dnsZone", id };
      await this.audit.record(tx, context, { action: "createDnsZone", target, after: facts(zone) });
      return zone;
    });
  }

  update(context: TenantContext, rawId: string, input: ZoneAccess): Promise<DnsZone> {
    const { organizationId } = context;
    const { columns, secret } = checkAccess(input);
    return this.changes.commit(context, async (tx) => {
      const before = await this.#get(tx, organizationId, rawId, "input.id");
      const { id } = before;
      const data = { ...columns, ...this.#seal(id, secret) };
      const zone = await tx.dnsZone.update({ where: { organizationId, id }, data });
      const target = { kind: "dnsZone", id };
      const told = { action: "updateDnsZone", target, before: facts(before), after: facts(zone) };
      await this.audit.record(tx, context, told);
      return zone;
    });
  }

  /** @throws api/in-use while certificates are proved by it or records are left in it */
  remove(context: TenantContext, rawId: string): Promise<DnsZone> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const zone = await this.#get(tx, organizationId, rawId, "id");
      const zones = await tx.dnsZone.findMany({ where: { organizationId } });
      const proved = await tx.acmeCertificate.findMany({
        where: { organizationId, challenge: "DNS_01" },
        select: { names: true },
      });
      const needed = proved.flatMap((c) => c.names).find((name) => zoneOf(zones, name)?.id === zone.id);
      const left = await tx.dnsRecord.findFirst({ where: { organizationId, zoneId: zone.id } });
      const use = needed ?? left?.name;
      if (use !== undefined) {
        throw apiFault("api/in-use", `${zone.name} is needed for ${use}`, {
          field: "id",
          value: zone.id,
          expected: "a zone by which no certificate is proved and in which no record is left",
        });
      }
      await tx.dnsZone.delete({ where: { organizationId, id: zone.id } });
      const target = { kind: "dnsZone", id: zone.id };
      await this.audit.record(tx, context, { action: "deleteDnsZone", target, before: facts(zone) });
      return zone;
    });
  }

  list({ organizationId }: TenantContext, args: PageArgs): Promise<Connection<DnsZone>> {
    return page(args, (request) => {
      const { where, ...rest } = pageQuery(request, "asc");
      return this.database.client.dnsZone.findMany({ where: { organizationId, ...where }, ...rest });
    });
  }

  /** @throws dns/no-zone for the first name that is in none */
  async zonesOf(
    tx: Pick<Tx, "dnsZone">,
    organizationId: string,
    names: readonly string[],
    field: string,
  ): Promise<DnsZone[]> {
    const zones = await tx.dnsZone.findMany({ where: { organizationId } });
    return names.map((name, i) => {
      const zone = zoneOf(zones, name);
      if (zone === undefined) throw noZone(name, `${field}[${i}]`);
      return zone;
    });
  }

  /** Doing it twice does nothing more. Throws what `updateZone` and `runProgram` throw. */
  async change(zone: DnsZone, change: TextChange): Promise<void> {
    const { id, name, method, server, keyName, algorithm, sealed, keyId, program } = zone;
    if (method === "PROGRAM" && program !== null) {
      await runProgram({ folder: this.config.dnsPrograms, log: this.log }, program, name, change);
      return;
    }
    if (server === null || keyName === null || algorithm === null || sealed === null || keyId === null) {
      throw fault("dns/refused", `${name}: nothing says how it is changed`, { value: name });
    }
    const secret = Buffer.from(this.vault.unseal(zonePlace(id), { sealed, keyId }).toString("utf8"), "base64");
    await updateZone(server, { name: keyName, algorithm: algorithm as TsigAlgorithm, secret }, name, [change]);
  }

  async #get(tx: Tx, organizationId: string, rawId: string, field: string): Promise<DnsZone> {
    const id = checkUuid(rawId, field);
    const zone = await tx.dnsZone.findFirst({ where: { organizationId, id } });
    if (zone) return zone;
    throw apiFault("api/not-found", "there is no such zone", { field, value: id, expected: "the id of a zone" });
  }

  #seal(id: string, secret: string | undefined) {
    return secret === undefined ? { sealed: null, keyId: null } : this.vault.seal(zonePlace(id), secret);
  }
}
