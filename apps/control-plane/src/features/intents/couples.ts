import { type FleetModel, type GatewayIntent, listTunnels } from "@sallyport/intent";
import { Slice } from "../../platform/slices.js";
import { type Claim, claimOf, type Verdicts } from "./prover.js";

/** A tunnel whose ends may change one after the other only if each new end negotiates with the other one as it is now. */
export interface Couple {
  readonly a: string;
  readonly b: string;
  readonly claims: readonly Claim[];
}

/** Of tunnels that both ends have now, and whose ends both change. */
export async function couplesOf(
  model: FleetModel,
  wanted: ReadonlyMap<string, GatewayIntent>,
  inForce: ReadonlyMap<string, GatewayIntent>,
  moving: ReadonlySet<string>,
): Promise<Couple[]> {
  const couples: Couple[] = [];
  const slice = new Slice();
  for (const tunnel of listTunnels(model)) {
    const { id, a, b } = tunnel;
    if (b === undefined || !moving.has(a) || !moving.has(b)) continue;
    const [oldA, oldB, newA, newB] = [inForce.get(a), inForce.get(b), wanted.get(a), wanted.get(b)];
    if (!oldA || !oldB || !newA || !newB || !has(oldA, id) || !has(oldB, id)) continue;
    const first = (atA: GatewayIntent, atB: GatewayIntent) =>
      claimOf(model, tunnel, (side) => (side === a ? atA : atB));
    couples.push({ a, b, claims: [first(newA, oldB), first(oldA, newB)] });
    if (slice.isOver) await slice.next();
  }
  return couples;
}

const has = ({ connections }: GatewayIntent, id: string) => connections.some((c) => c.id === id);

/** Whether the ends have to change together. */
export function isBound({ claims }: Couple, verdicts: Verdicts): boolean {
  return claims.some((claim) => verdicts.get(claim.digest) !== undefined);
}
