import { entries } from "./cases/entries.js";
import { lifecycle } from "./cases/lifecycle.js";
import { lifetimes } from "./cases/lifetimes.js";
import { policies } from "./cases/policies.js";
import { protection } from "./cases/protection.js";
import { selectors } from "./cases/selectors.js";
import { traffic } from "./cases/traffic.js";
import type { CaseResult, ComplianceCase, ComplianceOptions, PairUnderTest } from "./types.js";

const DEFAULT_TIMEOUT_MS = 60_000;

/** What every data plane has to do. */
export const complianceCases: readonly ComplianceCase[] = [
  ...entries,
  ...traffic,
  ...protection,
  ...lifetimes,
  ...policies,
  ...selectors,
  ...lifecycle,
];

async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** One case on gateways without entries. */
export async function runCase(one: ComplianceCase, pair: PairUnderTest): Promise<CaseResult> {
  const started = performance.now();
  const result = (outcome: CaseResult["outcome"], error?: unknown): CaseResult => ({
    name: one.name,
    outcome,
    milliseconds: Math.round(performance.now() - started),
    ...(error === undefined ? {} : { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  });
  if (one.applies && !one.applies(pair)) return result("not-applicable");
  try {
    await within(one.timeoutMs ?? DEFAULT_TIMEOUT_MS, one.run(pair));
    return result("passed");
  } catch (error) {
    return result("failed", error);
  } finally {
    await Promise.all([pair.left.reset(), pair.right.reset()]);
  }
}

/** All cases one after the other on one pair; `only` takes those whose name holds it. */
export async function runCompliance(
  makePair: () => Promise<PairUnderTest>,
  options: ComplianceOptions & { only?: string; onResult?: (result: CaseResult) => void } = {},
): Promise<CaseResult[]> {
  const pair = await makePair();
  const results: CaseResult[] = [];
  try {
    for (const one of complianceCases) {
      if (options.except?.[one.name] !== undefined || !one.name.includes(options.only ?? "")) continue;
      const result = await runCase(one, pair);
      results.push(result);
      options.onResult?.(result);
    }
  } finally {
    await pair.close();
  }
  return results;
}
