import { Injectable } from "@nestjs/common";
import { Database } from "../../platform/database/database.js";
import type { DnsRecord, DnsZone } from "../../platform/prisma/generated/client.js";
import { DnsZoneService } from "./dns-zone.service.js";
import { fault } from "./faults.js";
import { textsAt } from "./name-server.js";

export interface WantedRecord {
  readonly name: string;
  readonly text: string;
}

type RecordInZone = DnsRecord & { zone: DnsZone };

/** Seconds. */
const TTL = 60;

const changeOf = (change: "add" | "remove", { name, text }: WantedRecord) => ({ change, name, text, ttl: TTL });

/** TXT records of orders. Each is written down before it is added, so that whoever comes after a crash knows what to remove. */
@Injectable()
export class DnsRecordService {
  constructor(
    private readonly database: Database,
    private readonly zones: DnsZoneService,
  ) {}

  /**
   * Adds what is not added yet, and looks whether every name server shows it. It may be called again.
   * @throws dns/no-zone, dns/not-shown, and what `DnsZoneService.change` and `textsAt` throw
   */
  async publish(organizationId: string, orderId: string, wanted: readonly WantedRecord[]): Promise<void> {
    // A directory that knows every name already wants no proof.
    if (wanted.length === 0) return;
    const { client } = this.database;
    const names = wanted.map((record) => record.name);
    const zones = await this.zones.zonesOf(client, organizationId, names, "names");
    await client.dnsRecord.createMany({
      data: wanted.map(({ name, text }, i) => ({
        ...{ organizationId, orderId, name, text, zoneId: (zones[i] as DnsZone).id },
      })),
      skipDuplicates: true,
    });
    const records = await client.dnsRecord.findMany({
      where: { organizationId, orderId },
      include: { zone: true },
      orderBy: { id: "asc" },
    });
    for (const record of records) {
      if (record.publishedAt === null) await this.#add(record);
    }
    for (const record of records) {
      for (const server of record.zone.nameServers) await checkShown(server, record);
    }
  }

  /** Of one order. */
  of(organizationId: string, orderId: string): Promise<RecordInZone[]> {
    return this.database.client.dnsRecord.findMany({ where: { organizationId, orderId }, include: { zone: true } });
  }

  /** Undefined: it was removed. */
  async one(organizationId: string, id: string): Promise<RecordInZone | undefined> {
    const where = { organizationId, id };
    return (await this.database.client.dnsRecord.findFirst({ where, include: { zone: true } })) ?? undefined;
  }

  /** Throws what `DnsZoneService.change` throws. */
  async remove(record: RecordInZone): Promise<void> {
    const { organizationId, id } = record;
    await this.zones.change(record.zone, changeOf("remove", record));
    await this.database.client.dnsRecord.deleteMany({ where: { organizationId, id } });
  }

  async #add(record: RecordInZone): Promise<void> {
    const { organizationId, id } = record;
    await this.zones.change(record.zone, changeOf("add", record));
    const { count } = await this.database.client.dnsRecord.updateMany({
      where: { organizationId, id },
      data: { publishedAt: new Date() },
    });
    // It was removed while it was being added: the order is over.
    if (count === 0) await this.zones.change(record.zone, changeOf("remove", record));
  }
}

async function checkShown(server: string, { name, text }: WantedRecord): Promise<void> {
  const texts = await textsAt(server, name);
  if (texts.includes(text)) return;
  throw fault("dns/not-shown", `${server} does not show the answer at ${name} yet`, {
    value: server,
    expected: `a TXT record at ${name}`,
  });
}
