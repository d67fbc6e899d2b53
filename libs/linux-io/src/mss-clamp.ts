import type { Family } from "@sallyport/base";
import { FAMILIES, hasChain, removeChain, restore, TOOLS } from "./netfilter.js";

const TABLE = "mangle";
const HOOK = "FORWARD";
const CHAIN = "SALLYPORT_MSS";
const SYN = "-p tcp -m tcp --tcp-flags SYN,RST SYN";

/**
 * Has the kernel lower the maximum segment size of TCP connections that pass it and go into or come out of an IPsec tunnel to what their
 * routes take: of packets going in that is known from their SA, for those coming out from the route back (CORE-20). Two rules for all
 * tunnels, and one for each reqid that is left alone. Names and policies tell no daemon's tunnels from another's.
 */
export class MssClamp {
  readonly #tools = new Map<Family, string>();
  readonly #spared = new Map<number, number>();
  #wanted = false;
  #tail: Promise<unknown> = Promise.resolve();

  /** `refused` hears why nothing is lowered, once. */
  constructor(private readonly refused: (reason: string) => void) {}

  /** Begins with the first call. */
  start(): Promise<void> {
    if (this.#wanted) return this.#settled();
    this.#wanted = true;
    return this.#alone(() => this.#put());
  }

  /** Leaves the tunnels of a reqid alone, until `unspare` has been called as often. */
  spare(reqid: number): Promise<void> {
    const count = this.#spared.get(reqid) ?? 0;
    this.#spared.set(reqid, count + 1);
    return count === 0 && this.#wanted ? this.#alone(() => this.#put()) : this.#settled();
  }

  unspare(reqid: number): Promise<void> {
    const count = this.#spared.get(reqid) ?? 0;
    if (count > 1) this.#spared.set(reqid, count - 1);
    else this.#spared.delete(reqid);
    return count === 1 && this.#wanted ? this.#alone(() => this.#put()) : this.#settled();
  }

  /** Takes its rules away, those of a killed process only after `start`. */
  clear(): Promise<void> {
    return this.#alone(async () => {
      this.#wanted = false;
      this.#spared.clear();
      await Promise.all([...this.#tools.values()].map((tool) => removeChain(tool, TABLE, HOOK, CHAIN)));
      this.#tools.clear();
    });
  }

  async #settled(): Promise<void> {
    await this.#tail;
  }

  #alone<T>(action: () => Promise<T>): Promise<T> {
    const mine = this.#tail.then(action);
    this.#tail = mine.catch(() => undefined);
    return mine;
  }

  async #put(): Promise<void> {
    const spared = [...this.#spared.keys()].flatMap((reqid) =>
      ["in", "out"].map((direction) => `-m policy --dir ${direction} --pol ipsec --reqid ${reqid} -j RETURN`),
    );
    const lowered = ["in", "out"].map(
      (direction) => `${SYN} -m policy --dir ${direction} --pol ipsec --mode tunnel -j TCPMSS --clamp-mss-to-pmtu`,
    );
    const rules = [...spared, ...lowered].map((rule) => `-A ${CHAIN} ${rule}`);
    await Promise.all(FAMILIES.map((family) => this.#load(family, rules)));
  }

  async #load(family: Family, rules: readonly string[]): Promise<void> {
    const known = this.#tools.get(family);
    const reasons: string[] = [];
    for (const tool of known ? [known] : TOOLS[family]) {
      // What a killed process left has its jump already.
      const jump = (await hasChain(tool, TABLE, CHAIN)) ? [] : [`-I ${HOOK} 1 -j ${CHAIN}`];
      const table = [`*${TABLE}`, `:${CHAIN} - [0:0]`, ...rules, ...jump, "COMMIT", ""].join("\n");
      const { tool: used, errors } = await restore([tool], table);
      reasons.push(...errors);
      if (!used) continue;
      this.#tools.set(family, used);
      return;
    }
    if (family === 4) this.refused(reasons.join("; "));
  }
}
