import type { Permission } from "./auth/permissions.js";

/** Who acts. `name` is an e-mail address, a gateway's name or a job's name. */
export interface Actor {
  readonly kind: "operator" | "agent" | "system";
  readonly id: string | undefined;
  readonly name: string;
  readonly tokenId: string | undefined;
  /** Address the request came from. */
  readonly origin: string | undefined;
  readonly requestId: string | undefined;
}

/** On whose behalf and in which organization something is done. Every service method takes one and looks at nothing outside it. */
export interface TenantContext {
  readonly organizationId: string;
  readonly actor: Actor;
  readonly permissions: ReadonlySet<Permission>;
}

/** The context of work that nobody asked for at this moment: jobs and agents' reports. It holds no permissions. */
export function systemContext(organizationId: string, name: string, more: Partial<Actor> = {}): TenantContext {
  const actor: Actor = {
    kind: "system",
    id: undefined,
    name,
    tokenId: undefined,
    origin: undefined,
    requestId: undefined,
    ...more,
  };
  return { organizationId, actor, permissions: new Set() };
}
