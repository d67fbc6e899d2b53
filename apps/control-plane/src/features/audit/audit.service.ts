import { Injectable } from "@nestjs/common";
import type { Tx } from "../../platform/database/database.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import type { AuditEntry } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditStore } from "./audit.store.js";

export interface Change {
  /** The mutation's name. */
  readonly action: string;
  readonly target: { readonly kind: string; readonly id: string };
  /** Plain values before and after; whatever is a secret by its name is masked. */
  readonly before?: Readonly<Record<string, unknown>> | undefined;
  readonly after?: Readonly<Record<string, unknown>> | undefined;
}

const SECRET = /password|passphrase|secret|token|psk|preSharedKey|privateKey|sealed|hash/i;
/** Whether what is called so is never shown. */
export const isSecretName = (name: string): boolean => SECRET.test(name);

const MASK = "***";

/** A copy for the record: secrets masked, dates and large numbers as text, octets left out. */
export function masked(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return MASK;
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  return Object.fromEntries(
    entries.map(([k, v]) => [k, SECRET.test(k) && v !== null && typeof v !== "boolean" ? MASK : masked(v)]),
  );
}

/** Who changed what. Entries are written in the transaction of the change itself and never changed. */
@Injectable()
export class AuditService {
  constructor(private readonly store: AuditStore) {}

  async record(tx: Tx, { organizationId, actor }: TenantContext, change: Change): Promise<void> {
    await this.store.append(tx, {
      organizationId,
      actorKind: actor.kind,
      actorId: actor.id ?? null,
      actorName: actor.name,
      tokenId: actor.tokenId ?? null,
      origin: actor.origin ?? null,
      requestId: actor.requestId ?? null,
      action: change.action,
      targetKind: change.target.kind,
      targetId: change.target.id,
      ...(change.before === undefined ? {} : { before: masked(change.before) as object }),
      ...(change.after === undefined ? {} : { after: masked(change.after) as object }),
    });
  }

  /** Newest first. */
  list(context: TenantContext, args: PageArgs, targetId?: string): Promise<Connection<AuditEntry>> {
    return page(args, (request) => this.store.page(context.organizationId, request, targetId));
  }
}
