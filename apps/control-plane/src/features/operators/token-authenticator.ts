import { Inject, Injectable } from "@nestjs/common";
import { Authenticator, type Origin } from "../../platform/auth/authenticator.js";
import { permissionsOf } from "../../platform/auth/permissions.js";
import { Database } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { OperatorStore } from "./operator.store.js";
import { isToken, tokenHash } from "./token.js";

/** How often "last used" is written down. */
const TOUCH_MS = 60_000;

const refuse = (why: string) =>
  apiFault("api/unauthenticated", why, { field: "authorization", value: "***", expected: "a token that is valid" });

@Injectable()
export class TokenAuthenticator extends Authenticator {
  constructor(
    private readonly database: Database,
    private readonly store: OperatorStore,
    @Inject(LOG) private readonly log: Log,
  ) {
    super();
  }

  override async authenticate(text: string, origin: Origin): Promise<TenantContext> {
    const token = isToken(text) ? await this.database.patiently(() => this.store.tokenByHash(tokenHash(text))) : null;
    if (!token) throw refuse("this token is not known");
    const now = new Date();
    if (token.revokedAt !== null) throw refuse("this token was revoked");
    if (token.expiresAt <= now) throw refuse("this token has expired");
    const { operator, organizationId } = token;
    if (operator.disabledAt !== null) throw refuse("this token's operator is disabled");
    if (token.lastUsedAt === null || now.getTime() - token.lastUsedAt.getTime() > TOUCH_MS) {
      this.store
        .touchToken(organizationId, token.id, now)
        .catch((err: unknown) => this.log.warn({ err }, "a token's use was not noted"));
    }
    return {
      organizationId,
      // Who signed in with a one-time password may do nothing but choose another.
      permissions:
        operator.mustChange && token.kind === "SESSION" ? new Set() : permissionsOf(operator.role, token.permissions),
      actor: {
        kind: "operator",
        id: operator.id,
        name: operator.email,
        tokenId: token.id,
        origin: origin.address,
        requestId: origin.requestId,
      },
    };
  }
}
