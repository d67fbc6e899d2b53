import { fault } from "./faults.js";
import { EXCHANGE, FIRST_STATUS_NOTIFY, NOTIFY } from "./registry.js";
import type { Header, Payload, PayloadKind } from "./types.js";

type Occurrence = readonly [min: number, max: number];
const ONE: Occurrence = [1, 1];
const MAY: Occurrence = [0, 1];
const ANY: Occurrence = [0, Number.POSITIVE_INFINITY];

/** What may stand in one direction of one exchange. V and unknown payloads may always stand, RFC 7296 §2.5 and §3.12. */
export interface Placement {
  /** Whether the payloads stand inside SK; those of a protected message have none outside, and the other way round. */
  readonly protected: boolean;
  readonly payloads: Readonly<Partial<Record<PayloadKind, Occurrence>>>;
  /** All of a group stand there or none. */
  readonly together?: readonly (readonly PayloadKind[])[];
  /** At least one of them stands there. */
  readonly oneOf?: readonly PayloadKind[];
  /** An error notification, or one of the types listed here, excuses all that is missing. */
  readonly excusedBy?: readonly number[];
}

/** RFC 7296 §1.2–§1.4 and appendix C; RFC 6023 for an IKE_AUTH without a CHILD SA. */
export const PLACEMENT = {
  "IKE_SA_INIT request": {
    protected: false,
    payloads: { SA: ONE, KE: ONE, Nonce: ONE, N: ANY },
  },
  "IKE_SA_INIT response": {
    protected: false,
    payloads: { SA: ONE, KE: ONE, Nonce: ONE, CERTREQ: ANY, N: ANY },
    excusedBy: [NOTIFY.COOKIE],
  },
  "IKE_AUTH request": {
    protected: true,
    payloads: {
      IDi: ONE,
      CERT: ANY,
      CERTREQ: ANY,
      IDr: MAY,
      AUTH: MAY, // absent: the initiator wants EAP, §2.16
      CP: MAY,
      SA: MAY,
      TSi: MAY,
      TSr: MAY,
      N: ANY,
    },
    together: [["SA", "TSi", "TSr"]],
  },
  "IKE_AUTH response": {
    protected: true,
    payloads: { IDr: ONE, CERT: ANY, AUTH: MAY, EAP: MAY, CP: MAY, SA: MAY, TSi: MAY, TSr: MAY, N: ANY },
    together: [["SA", "TSi", "TSr"]],
    oneOf: ["AUTH", "EAP"],
    excusedBy: [],
  },
  // Rounds after the first: EAP, then AUTH, §2.16; another identity, RFC 4739 §2. Empty: it is the other end's turn.
  "IKE_AUTH request later": {
    protected: true,
    payloads: { IDi: MAY, CERT: ANY, CERTREQ: ANY, IDr: MAY, EAP: MAY, AUTH: MAY, N: ANY },
  },
  "IKE_AUTH response later": {
    protected: true,
    payloads: { IDr: MAY, CERT: ANY, EAP: MAY, AUTH: MAY, CP: MAY, SA: MAY, TSi: MAY, TSr: MAY, N: ANY },
    together: [["SA", "TSi", "TSr"]],
  },
  // Without TSi and TSr it rekeys the IKE SA, which then takes a KE.
  "CREATE_CHILD_SA request": {
    protected: true,
    payloads: { SA: ONE, Nonce: ONE, KE: MAY, TSi: MAY, TSr: MAY, CP: MAY, N: ANY },
    together: [["TSi", "TSr"]],
    oneOf: ["KE", "TSi"],
  },
  "CREATE_CHILD_SA response": {
    protected: true,
    payloads: { SA: ONE, Nonce: ONE, KE: MAY, TSi: MAY, TSr: MAY, CP: MAY, N: ANY },
    together: [["TSi", "TSr"]],
    oneOf: ["KE", "TSi"],
    excusedBy: [],
  },
  "INFORMATIONAL request": {
    protected: true,
    payloads: { N: ANY, D: ANY, CP: MAY },
  },
  "INFORMATIONAL response": {
    protected: true,
    payloads: { N: ANY, D: ANY, CP: MAY },
  },
} as const satisfies Record<string, Placement>;
export type PlacementName = keyof typeof PLACEMENT;

interface Row {
  readonly name: PlacementName;
  readonly placement: Placement;
  /** Payloads that may not be missing. */
  readonly mandatory: readonly PayloadKind[];
}

function rowOf(name: string): Row | undefined {
  if (!(name in PLACEMENT)) return undefined;
  const placement: Placement = PLACEMENT[name as PlacementName];
  const kinds = Object.keys(placement.payloads) as PayloadKind[];
  const mandatory = kinds.filter((kind) => (placement.payloads[kind]?.[0] ?? 0) > 0);
  return { name: name as PlacementName, placement, mandatory };
}

const named = (exchange: string, suffix: string) => ({
  request: rowOf(`${exchange} request${suffix}`),
  response: rowOf(`${exchange} response${suffix}`),
});

/** By exchange, those of the first round and those of later ones: put together once, not for every message. */
const rows = new Map<number, { readonly first: ReturnType<typeof named>; readonly later: ReturnType<typeof named> }>(
  Object.entries(EXCHANGE).map(([name, number]) => {
    const first = named(name, "");
    return [number, { first, later: number === EXCHANGE.IKE_AUTH ? named(name, " later") : first }];
  }),
);

/** Which row a message answers to; `later` marks IKE_AUTH rounds after the first. Undefined: no exchange of ours. */
export function placementOf(header: Pick<Header, "exchange" | "response">, later = false): Row | undefined {
  return rows.get(header.exchange)?.[later ? "later" : "first"][header.response ? "response" : "request"];
}

/** A message after opening: `inner` is undefined when it had no SK. */
export interface Placed {
  readonly header: Pick<Header, "exchange" | "response">;
  readonly clear: readonly Payload[];
  readonly inner: readonly Payload[] | undefined;
}

/**
 * Refuses a message whose payloads its exchange does not allow: `ike/unknown-exchange`, `ike/payload-not-allowed`,
 * `ike/payload-missing`; `field` is the payload's name.
 */
export function checkPlacement(message: Placed, later = false): void {
  const row = placementOf(message.header, later);
  if (!row) {
    const value = String(message.header.exchange);
    throw fault("ike/unknown-exchange", `exchange type ${value}`, { field: "header.exchange", offset: 18, value });
  }
  const { name, placement } = row;
  if (placement.protected !== (message.inner !== undefined)) {
    const [code, field] = placement.protected
      ? (["ike/payload-missing", "SK"] as const)
      : (["ike/payload-not-allowed", "SK"] as const);
    throw fault(code, `${name}: ${placement.protected ? "not encrypted" : "encrypted"}`, { field, value: name });
  }
  if (message.inner) checkCounts(`${name}, outside SK`, {}, message.clear);
  checkRow(row, message.inner ?? message.clear);
}

function checkRow({ name, placement: row, mandatory }: Row, payloads: readonly Payload[]): void {
  const counts = checkCounts(name, row.payloads, payloads);
  if (row.excusedBy && payloads.some((p) => isExcuse(p, row.excusedBy ?? []))) return;
  for (const kind of mandatory) if (!counts.has(kind)) throw missing(name, kind);
  for (const group of row.together ?? []) {
    const there = group.filter((kind) => counts.has(kind)).length;
    if (there > 0 && there < group.length) throw missing(name, group.find((kind) => !counts.has(kind)) ?? "");
  }
  if (row.oneOf && !row.oneOf.some((kind) => counts.has(kind))) throw missing(name, row.oneOf.join(" or "));
}

function isExcuse(p: Payload, types: readonly number[]): boolean {
  return p.kind === "N" && (p.type < FIRST_STATUS_NOTIFY || types.includes(p.type));
}

function checkCounts(
  name: string,
  allowed: Placement["payloads"],
  payloads: readonly Payload[],
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const p of payloads) {
    if (p.kind === "unknown" || p.kind === "V") continue;
    const count = (counts.get(p.kind) ?? 0) + 1;
    counts.set(p.kind, count);
    const max = allowed[p.kind]?.[1] ?? 0;
    if (count > max) {
      throw fault("ike/payload-not-allowed", `${name}: ${p.kind} payload number ${count}`, {
        field: p.kind,
        value: String(count),
        expected: max === 0 ? "none" : `at most ${max}`,
      });
    }
  }
  return counts;
}

function missing(name: string, kind: string) {
  return fault("ike/payload-missing", `${name}: no ${kind} payload`, { field: kind, expected: kind });
}
