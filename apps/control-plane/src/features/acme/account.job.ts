import { Injectable, type OnModuleInit } from "@nestjs/common";
import { isFault } from "@sallyport/base";
import { Database } from "../../platform/database/database.js";
import type { JobContext, JobRunner } from "../../platform/outbox/job.js";
import { Jobs } from "../../platform/outbox/jobs.js";
import { AcmeAccountService } from "./account.service.js";
import { REGISTER_ACCOUNT, type RegisterAccount } from "./jobs.js";

/** Makes an account at its directory, as soon as there is one. */
@Injectable()
export class AccountJob implements JobRunner<RegisterAccount>, OnModuleInit {
  readonly type = REGISTER_ACCOUNT;

  constructor(
    private readonly database: Database,
    private readonly accounts: AcmeAccountService,
    private readonly jobs: Jobs,
  ) {}

  onModuleInit(): void {
    this.jobs.register(this);
  }

  async run({ accountId }: RegisterAccount, { organizationId }: JobContext): Promise<void> {
    const where = { organizationId, id: accountId, state: "REGISTERING" } as const;
    if ((await this.database.client.acmeAccount.findFirst({ where })) === null) return;
    try {
      await this.accounts.open(organizationId, accountId);
    } catch (error) {
      // What may go well later, the queue tries again.
      if (!isFault(error) || error.policy.retry) throw error;
      await this.accounts.failed(organizationId, accountId, error);
    }
  }
}
