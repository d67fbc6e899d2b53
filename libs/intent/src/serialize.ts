import type { GatewayIntent } from "./model.js";
import { Secret } from "./secret.js";

function canonical(value: unknown, secret: (s: Secret) => unknown): unknown {
  if (value instanceof Secret) return secret(value);
  if (Array.isArray(value)) return value.map((v) => canonical(v, secret));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([k, v]) => [k, canonical(v, secret)]));
}

/**
 * Canonical JSON: keys sorted, no white space, absent fields left out, **secrets in clear**. For the gateway's stream and its disk only.
 */
export function serializeIntent(intent: GatewayIntent): string {
  return JSON.stringify(canonical(intent, (s) => s.reveal()));
}

/** The same with every secret as `***`: for people. */
export function maskIntent(intent: GatewayIntent): string {
  return JSON.stringify(canonical(intent, String));
}

/** Whether two intents ask for the same, whatever their revisions. */
export function sameIntent(a: GatewayIntent, b: GatewayIntent): boolean {
  return serializeIntent({ ...a, revision: 0 }) === serializeIntent({ ...b, revision: 0 });
}
