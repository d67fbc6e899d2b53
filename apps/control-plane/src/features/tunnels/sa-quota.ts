import { Inject, Injectable } from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";
import type { Tx } from "../../platform/database/database.js";
import { type SaOfEnd, SaStore } from "./sa.store.js";

/** A gateway's rows of SAs, as far as one stream's writing knows. */
export interface SaTally {
  readonly streamId: string;
  /** There are not more: rows that others delete, with their tunnels, are not noticed. */
  readonly atMost: number;
  /** SAs were left out, and the agent was not asked for them since. */
  readonly short: boolean;
}

export interface Admitted {
  readonly sas: readonly SaOfEnd[];
  readonly tally: SaTally;
}

const rowsOf = ({ sa }: SaOfEnd) => 1 + sa.childSas.length;
const rowsOfAll = (sas: readonly SaOfEnd[]) => sas.reduce((sum, sa) => sum + rowsOf(sa), 0);

/** Of one gateway, not more SAs are kept than the limit: whoever has taken a gateway over shall not fill the database. */
@Injectable()
export class SaQuota {
  readonly limit: number;

  constructor(
    @Inject(CONFIG) config: Config,
    private readonly store: SaStore,
  ) {
    this.limit = config.saLimit;
  }

  /** Those of `sas` that may be written, and the tally once they are. `ends` are the ids of all ends of the gateway. */
  async admit(
    tx: Tx,
    organizationId: string,
    ends: readonly string[],
    sas: readonly SaOfEnd[],
    before: SaTally,
  ): Promise<Admitted> {
    const wanted = before.atMost + rowsOfAll(sas);
    if (wanted <= this.limit) return { sas, tally: { ...before, atMost: wanted } };
    let atMost = await this.store.count(tx, organizationId, ends);
    const known = await this.store.rowsOf(tx, organizationId, sas);
    const admitted = sas.filter((sa, i) => {
      const more = rowsOf(sa) - (known[i] ?? 0);
      if (more > 0 && atMost + more > this.limit) return false;
      atMost += more;
      return true;
    });
    return { sas: admitted, tally: { ...before, atMost, short: before.short || admitted.length < sas.length } };
  }

  /** After SAs were removed: with room for a tenth of the limit, it is worth asking the agent for what was left out. */
  async roomAgain(tx: Tx, organizationId: string, ends: readonly string[], tally: SaTally): Promise<SaTally> {
    if (!tally.short) return tally;
    const atMost = await this.store.count(tx, organizationId, ends);
    return { ...tally, atMost, short: atMost > 0.9 * this.limit };
  }

  async first(tx: Tx, organizationId: string, ends: readonly string[], streamId: string): Promise<SaTally> {
    return { streamId, atMost: await this.store.count(tx, organizationId, ends), short: false };
  }
}
