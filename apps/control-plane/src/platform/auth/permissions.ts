import type { Role } from "../prisma/generated/enums.js";

/** What a resolver may ask for with `@Allow`. */
export const PERMISSIONS = [
  "fleet:read",
  "lease:read",
  "site:write",
  "gateway:write",
  "network:write",
  "peer:write",
  "pool:write",
  "road-warrior:write",
  "remote-access:write",
  "handover:write",
  "secret:write",
  "rollout:write",
  "certificate:write",
  "authority:write",
  "enrolment:write",
  "alert:write",
  "audit:read",
  "token:write",
  "operator:write",
] as const;

export type Permission = (typeof PERMISSIONS)[number];

const VIEWER: readonly Permission[] = ["fleet:read", "lease:read", "token:write"];
const OPERATOR: readonly Permission[] = [
  ...VIEWER,
  "site:write",
  "gateway:write",
  "network:write",
  "peer:write",
  "pool:write",
  "road-warrior:write",
  "handover:write",
  "secret:write",
  "rollout:write",
  "certificate:write",
  "enrolment:write",
  "alert:write",
  "audit:read",
];

const ROLE_PERMISSIONS: Readonly<Record<Role, readonly Permission[]>> = {
  ADMIN: PERMISSIONS,
  OPERATOR,
  VIEWER,
};

/** A token's own list narrows its operator's role and never widens it; an empty list narrows nothing. */
export function permissionsOf(role: Role, tokenPermissions: readonly string[]): ReadonlySet<Permission> {
  const allowed = ROLE_PERMISSIONS[role];
  return new Set(tokenPermissions.length === 0 ? allowed : allowed.filter((p) => tokenPermissions.includes(p)));
}
