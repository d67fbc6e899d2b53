import { Injectable } from "@nestjs/common";
import { PERMISSIONS } from "../../platform/auth/permissions.js";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { checkName, checkText, checkUuid } from "../../platform/input.js";
import type { ApiToken, Operator } from "../../platform/prisma/generated/client.js";
import type { Role } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { OperatorStore } from "./operator.store.js";
import { checkNewPassword, hashPassword, oneTimePassword, verifyPassword } from "./password.js";
import { newToken } from "./token.js";

const DAY_MS = 86_400_000;
const SESSION_MS = 12 * 3_600_000;
const MAX_TOKEN_DAYS = 366;
const FREE_ATTEMPTS = 5;
/** Doubles with every attempt past the free ones. */
const FIRST_LOCK_MS = 1_000;
const LONGEST_LOCK_MS = 15 * 60_000;

export interface CreatedToken {
  readonly token: string;
  readonly apiToken: ApiToken;
}

export interface SignedIn {
  readonly token: string;
  readonly expiresAt: Date;
  readonly mustChangePassword: boolean;
}

export interface NewOperator {
  readonly email: string;
  readonly name: string;
  readonly role: Role;
}

export interface NewApiToken {
  readonly name: string;
  readonly permissions: readonly string[];
  readonly expiresInDays: number;
}

function checkEmail(value: string, field: string): string {
  const email = checkText(value.trim().toLowerCase(), field, 3, 254);
  if (/^[^\s@]+@[^\s@]+$/.test(email)) return email;
  throw apiFault("api/bad-input", `${field}: not an e-mail address`, {
    field,
    value: email,
    expected: "name@example.org",
  });
}

/** A token's permissions when the caller makes another: never more than the caller's own token has. */
function narrowed({ permissions: own, actor }: TenantContext, wanted: readonly string[]): string[] {
  wanted.forEach((permission, i) => {
    const known = PERMISSIONS.find((p) => p === permission);
    if (known && (actor.kind === "system" || own.has(known))) return;
    throw apiFault("api/bad-input", `permissions[${i}]: no such permission, or not the caller's`, {
      field: `permissions[${i}]`,
      value: permission,
      expected: `one of ${[...own].join(", ")}`,
    });
  });
  if (wanted.length > 0 || actor.kind === "system") return [...wanted];
  return own.size === PERMISSIONS.length ? [] : [...own];
}

@Injectable()
export class OperatorService {
  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly store: OperatorStore,
    private readonly audit: AuditService,
  ) {}

  /** With a one-time password, which is returned and stored hashed only. */
  async create(context: TenantContext, input: NewOperator): Promise<{ operator: Operator; oneTimePassword: string }> {
    const password = oneTimePassword();
    const passwordHash = await hashPassword(password);
    const operator = await this.changes.commit(context, (tx) => this.createIn(tx, context, input, passwordHash));
    return { operator, oneTimePassword: password };
  }

  /** As `create`, in the caller's transaction and with the password's hash given. */
  async createIn(tx: Tx, context: TenantContext, input: NewOperator, passwordHash: string): Promise<Operator> {
    const email = checkEmail(input.email, "email");
    if (await tx.operator.findUnique({ where: { email }, select: { id: true } })) {
      throw apiFault("api/name-taken", "there is an operator with this e-mail address", {
        field: "email",
        value: email,
        expected: "another address",
      });
    }
    const { organizationId } = context;
    const name = checkName(input.name, "name");
    const operator = await this.store.create(tx, {
      organizationId,
      email,
      name,
      role: input.role,
      passwordHash,
      mustChange: true,
    });
    const after = { email, name, role: input.role };
    await this.audit.record(tx, context, {
      action: "createOperator",
      target: { kind: "operator", id: operator.id },
      after,
    });
    return operator;
  }

  list(context: TenantContext, args: PageArgs): Promise<Connection<Operator>> {
    return page(args, (request) => this.store.page(context.organizationId, request));
  }

  async me(context: TenantContext): Promise<Operator> {
    const found = await this.store.byId(context.organizationId, context.actor.id ?? "");
    if (!found) throw apiFault("api/not-found", "there is no such operator", { field: "authorization" });
    return found;
  }

  /** Slows guessing down per account; a wrong password and an unknown account look the same. */
  async signIn(rawEmail: string, password: string, origin: string | undefined): Promise<SignedIn> {
    const operator = await this.store.byEmail(rawEmail.trim().toLowerCase());
    const now = new Date();
    if (operator?.lockedUntil && operator.lockedUntil > now) {
      throw apiFault("api/too-many-attempts", "too many wrong passwords", {
        field: "password",
        value: "***",
        expected: `another try after ${operator.lockedUntil.toISOString()}`,
      });
    }
    const matches = await verifyPassword(operator?.passwordHash, password);
    if (!operator || !matches || operator.disabledAt !== null) {
      if (operator) await this.#failed(operator, now);
      throw apiFault("api/unauthenticated", "no operator has this e-mail address and password", {
        field: "password",
        value: "***",
        expected: "the operator's password",
      });
    }
    const { organizationId } = operator;
    const { text, prefix, hash } = newToken();
    const expiresAt = new Date(now.getTime() + SESSION_MS);
    await this.changes.commit(operator, async (tx) => {
      await this.store.update(tx, organizationId, operator.id, {
        failedLogins: 0,
        lockedUntil: null,
        lastLoginAt: now,
      });
      const data = {
        organizationId,
        operatorId: operator.id,
        kind: "SESSION",
        name: "session",
        prefix,
        hash,
        expiresAt,
      } as const;
      const token = await this.store.createToken(tx, { ...data, permissions: [] });
      const actor = {
        kind: "operator",
        id: operator.id,
        name: operator.email,
        tokenId: token.id,
        origin,
        requestId: undefined,
      } as const;
      const target = { kind: "operator", id: operator.id };
      await this.audit.record(tx, { organizationId, actor, permissions: new Set() }, { action: "signIn", target });
    });
    return { token: text, expiresAt, mustChangePassword: operator.mustChange };
  }

  async #failed({ organizationId, id, failedLogins }: Operator, now: Date): Promise<void> {
    const over = failedLogins + 1 - FREE_ATTEMPTS;
    const lock = over < 0 ? 0 : Math.min(FIRST_LOCK_MS * 2 ** Math.min(over, 20), LONGEST_LOCK_MS);
    await this.database.transaction((tx) =>
      this.store.update(tx, organizationId, id, {
        failedLogins: { increment: 1 },
        lockedUntil: lock === 0 ? null : new Date(now.getTime() + lock),
      }),
    );
  }

  /** Ends all of the operator's sessions; the caller signs in again. */
  async changePassword(context: TenantContext, current: string, next: string): Promise<Operator> {
    const operator = await this.me(context);
    if (!(await verifyPassword(operator.passwordHash, current))) {
      throw apiFault("api/bad-input", "not the current password", {
        field: "current",
        value: "***",
        expected: "the current password",
      });
    }
    const passwordHash = await hashPassword(checkNewPassword(next, "next"));
    return this.changes.commit(context, async (tx) => {
      const { organizationId } = context;
      const changed = await this.store.update(tx, organizationId, operator.id, { passwordHash, mustChange: false });
      await this.store.revokeSessions(tx, organizationId, operator.id, new Date());
      await this.audit.record(tx, context, { action: "changePassword", target: { kind: "operator", id: operator.id } });
      return changed;
    });
  }

  async createToken(context: TenantContext, input: NewApiToken): Promise<CreatedToken> {
    return this.changes.commit(context, (tx) => this.createTokenIn(tx, context, context.actor.id ?? "", input));
  }

  async createTokenIn(tx: Tx, context: TenantContext, operatorId: string, input: NewApiToken): Promise<CreatedToken> {
    const name = checkName(input.name, "name");
    const permissions = narrowed(context, input.permissions);
    if (!Number.isInteger(input.expiresInDays) || input.expiresInDays < 1 || input.expiresInDays > MAX_TOKEN_DAYS) {
      throw apiFault("api/bad-input", "expiresInDays: out of bounds", {
        field: "expiresInDays",
        value: String(input.expiresInDays),
        expected: `1 to ${MAX_TOKEN_DAYS}`,
      });
    }
    const { organizationId } = context;
    const { text, prefix, hash } = newToken();
    const expiresAt = new Date(Date.now() + input.expiresInDays * DAY_MS);
    const apiToken = await this.store.createToken(tx, {
      organizationId,
      operatorId,
      kind: "API",
      name,
      prefix,
      hash,
      permissions,
      expiresAt,
    });
    const after = { name, prefix, permissions, expiresAt };
    await this.audit.record(tx, context, {
      action: "createApiToken",
      target: { kind: "apiToken", id: apiToken.id },
      after,
    });
    return { token: text, apiToken };
  }

  /** Of the whole organization for who may manage operators, else the caller's own. */
  tokens(context: TenantContext, args: PageArgs): Promise<Connection<ApiToken>> {
    const now = new Date();
    return page(args, (request) => this.store.tokens(context.organizationId, request, this.#scope(context), now));
  }

  async revokeToken(context: TenantContext, rawId: string): Promise<ApiToken> {
    const id = checkUuid(rawId, "id");
    return this.changes.commit(context, async (tx) => {
      const token = await this.store.token(tx, context.organizationId, id);
      const scope = this.#scope(context);
      if (!token || (scope !== undefined && token.operatorId !== scope)) {
        throw apiFault("api/not-found", "there is no such token", {
          field: "id",
          value: id,
          expected: "the id of one of your tokens",
        });
      }
      if (token.revokedAt !== null) return token;
      const revoked = await this.store.revokeToken(tx, context.organizationId, id, new Date());
      const [before, after] = [{ revokedAt: null }, { revokedAt: revoked.revokedAt }];
      await this.audit.record(tx, context, {
        action: "revokeApiToken",
        target: { kind: "apiToken", id },
        before,
        after,
      });
      return revoked;
    });
  }

  #scope(context: TenantContext): string | undefined {
    return context.permissions.has("operator:write") ? undefined : (context.actor.id ?? "");
  }
}
