/** A gateway that waits for its stage. */
export interface Candidate {
  readonly gatewayId: string;
  readonly siteId: string;
  /** Networks in which it is one of several hubs. */
  readonly hubOf: readonly string[];
  /** Candidates with the same one go together. */
  readonly coupling: string;
  /** Its agent is there, and its site is open. */
  readonly isReady: boolean;
}

export interface StageSizes {
  /** How many gateways the first stage has; 0: as many as every other one. */
  readonly canary: number;
  /** Those of the first stage by id, instead. */
  readonly canaryGatewayIds: readonly string[];
  readonly batchPercent: number;
}

/** Ids of the groups that these pairs make, by the id of each member. */
export function couplings(
  ids: readonly string[],
  bound: readonly { readonly a: string; readonly b: string }[],
): ReadonlyMap<string, string> {
  const above = new Map(ids.map((id) => [id, id]));
  const top = (id: string): string => {
    let at = id;
    for (let next = above.get(at); next !== undefined && next !== at; next = above.get(at)) at = next;
    above.set(id, at);
    return at;
  };
  for (const { a, b } of bound) {
    if (above.has(a) && above.has(b)) above.set(top(a), top(b));
  }
  return new Map(ids.map((id) => [id, top(id)]));
}

/**
 * Ids of the gateways of the next stage, none when nobody can go now. Candidates come in the order in which they go; `total` is the whole
 * rollout's. Of two that stand in for each other one goes at a time, unless they are coupled. Coupled ones go together, however many.
 */
export function nextStage(
  candidates: readonly Candidate[],
  { canary, canaryGatewayIds, batchPercent }: StageSizes,
  total: number,
  isFirst: boolean,
): readonly string[] {
  const named = new Set(isFirst ? canaryGatewayIds : []);
  const first = candidates.filter((c) => named.has(c.gatewayId));
  const groups = [...Map.groupBy(candidates, (c) => c.coupling).values()].filter(
    (group) => first.length === 0 || group.some((c) => named.has(c.gatewayId)),
  );
  const size = first.length || (isFirst && canary > 0 ? canary : Math.ceil((total * batchPercent) / 100));
  const chosen: Candidate[] = [];
  for (const group of groups) {
    const fits = chosen.length === 0 || chosen.length + group.length <= size;
    if (fits && group.every((c) => c.isReady) && !group.some((c) => chosen.some((d) => areRedundant(c, d)))) {
      chosen.push(...group);
    }
  }
  return chosen.map((c) => c.gatewayId);
}

/** Whether either keeps tunnels up when the other one is down: gateways of a site, and hubs of a network. */
function areRedundant(a: Candidate, b: Candidate): boolean {
  return a.siteId === b.siteId || a.hubOf.some((network) => b.hubOf.includes(network));
}
