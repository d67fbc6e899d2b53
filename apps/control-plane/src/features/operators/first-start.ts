import { Injectable } from "@nestjs/common";
import { Database } from "../../platform/database/database.js";
import { systemContext } from "../../platform/tenancy.js";
import { OrganizationService } from "../organizations/organization.service.js";
import { OperatorService } from "./operator.service.js";
import { hashPassword, oneTimePassword } from "./password.js";

/** For the terminal, this once: nothing of it can be had again. */
export interface FirstCredentials {
  readonly organization: string;
  readonly email: string;
  readonly oneTimePassword: string;
  readonly apiToken: string;
  readonly apiTokenExpiresAt: Date;
}

const ORGANIZATION = "Default";
const EMAIL = "admin@localhost";
const TOKEN_DAYS = 90;
/** Of two replicas that start at once on an empty database, one founds the organization. */
const LOCK = 0x53616c6c;

/** Founds the first organization with its first operator. */
@Injectable()
export class FirstStart {
  constructor(
    private readonly database: Database,
    private readonly organizations: OrganizationService,
    private readonly operators: OperatorService,
  ) {}

  /** Undefined when there is an organization already. */
  async run(): Promise<FirstCredentials | undefined> {
    if ((await this.organizations.count(this.database.client)) > 0) return undefined;
    const password = oneTimePassword();
    const passwordHash = await hashPassword(password);
    return this.database.transaction(async (tx) => {
      await tx.$queryRaw`SELECT 1 AS locked FROM pg_advisory_xact_lock(${LOCK})`;
      if ((await this.organizations.count(tx)) > 0) return undefined;
      const organization = await this.organizations.found(tx, ORGANIZATION);
      const context = systemContext(organization.id, "first start");
      const input = { email: EMAIL, name: "First operator", role: "ADMIN" } as const;
      const operator = await this.operators.createIn(tx, context, input, passwordHash);
      const token = { name: "first start", permissions: [], expiresInDays: TOKEN_DAYS };
      const created = await this.operators.createTokenIn(tx, context, operator.id, token);
      return {
        organization: organization.name,
        email: operator.email,
        oneTimePassword: password,
        apiToken: created.token,
        apiTokenExpiresAt: created.apiToken.expiresAt,
      };
    });
  }
}
