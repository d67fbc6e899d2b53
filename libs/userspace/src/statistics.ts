/** STAT-01 … STAT-25: the names of the checklist, in the order of /proc/net/xfrm_stat. */
export const STATISTICS = [
  "in-errors",
  "in-buffer-errors",
  "in-header-errors",
  "in-no-states",
  "in-state-protocol-errors",
  "in-state-mode-errors",
  "in-state-sequence-errors",
  "in-state-expired",
  "in-state-mismatches",
  "in-state-invalid",
  "in-template-mismatches",
  "in-no-policies",
  "in-policy-blocked",
  "in-policy-errors",
  "out-errors",
  "out-bundle-errors",
  "out-bundle-check-errors",
  "out-no-states",
  "out-state-protocol-errors",
  "out-state-mode-errors",
  "out-state-sequence-errors",
  "out-state-expired",
  "out-policy-blocked",
  "out-policy-dead",
  "out-policy-errors",
] as const;

export type StatisticName = (typeof STATISTICS)[number];

export class Statistics {
  readonly #counts = Object.fromEntries(STATISTICS.map((name) => [name, 0])) as Record<StatisticName, number>;

  count(name: StatisticName, by = 1): void {
    this.#counts[name] += by;
  }

  read(): Record<string, bigint> {
    return Object.fromEntries(STATISTICS.map((name) => [name, BigInt(this.#counts[name])]));
  }
}

/** What is decided about a decrypted packet: it may enter, or is counted under this name. */
export type Entry = StatisticName | "accept";
