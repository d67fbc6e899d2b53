import { Injectable } from "@nestjs/common";
import { Outbox } from "../outbox/outbox.js";
import type { TenantContext } from "../tenancy.js";
import { Database, type Tx } from "./database.js";

/** The one way in which features change the fleet's model. */
@Injectable()
export class Changes {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {}

  /**
   * Runs `work` in a transaction that holds its organization's row: changes of one organization come one after the other, so that
   * checks over the whole fleet (names, overlaps, what would negotiate) stay true until the commit. Then wakes the outbox relay.
   */
  async commit<T>({ organizationId }: Pick<TenantContext, "organizationId">, work: (tx: Tx) => Promise<T>): Promise<T> {
    const { tx, result } = await this.database.transaction(async (tx) => {
      // A lock of the key too would keep everybody waiting who writes a row that names the organization: agents, for all that they say.
      await tx.$queryRaw`SELECT 1 FROM organizations WHERE id = ${organizationId}::uuid FOR NO KEY UPDATE`;
      return { tx, result: await work(tx) };
    });
    this.outbox.wake(tx);
    return result;
  }
}
