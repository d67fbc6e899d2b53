import { fault } from "../faults.js";
import { Prisma, type PrismaClient } from "../prisma/generated/client.js";

/** Models whose rows belong to one organization. */
const TENANT_MODELS: ReadonlySet<string> = new Set(
  Object.values(Prisma.ModelName).filter((name) => {
    const fields = (Prisma as unknown as Record<string, Record<string, string>>)[`${name}ScalarFieldEnum`];
    return fields !== undefined && "organizationId" in fields;
  }),
);

/** For the few queries that are meant for all organizations, or that find a row by its id to learn the organization. */
export const ANY_ORGANIZATION = { not: "00000000-0000-0000-0000-000000000000" } as const;

/** By what a row may be found before anybody's organization is known: each names one row and is a secret or unique over all. */
const GLOBAL_KEYS: Readonly<Record<string, readonly string[]>> = {
  ApiToken: ["hash"],
  Operator: ["email"],
  Gateway: ["identity"],
};

function namesTenant(model: string, args: unknown): boolean {
  const { where, data, create } = (args ?? {}) as { where?: object; data?: object | object[]; create?: object };
  if (where !== undefined) {
    return "organizationId" in where || (GLOBAL_KEYS[model] ?? []).some((key) => key in where);
  }
  const rows = [data ?? create].flat();
  return (
    rows.length > 0 && rows.every((row) => row !== undefined && ("organizationId" in row || "organization" in row))
  );
}

/**
 * Refuses a query on a tenant's table that does not name the organization at its top level. Work that is for all organizations
 * says so with `ANY_ORGANIZATION`.
 * @throws platform/no-tenant
 */
export function guardTenancy(client: PrismaClient): PrismaClient {
  return client.$extends({
    query: {
      $allModels: {
        $allOperations({ model, operation, args, query }) {
          if (TENANT_MODELS.has(model) && !namesTenant(model, args)) {
            throw fault("platform/no-tenant", `${model}.${operation} names no organization`, {
              field: "organizationId",
            });
          }
          return query(args);
        },
      },
    },
  }) as unknown as PrismaClient;
}
