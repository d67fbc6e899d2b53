import type { DataPlaneOp } from "./api.js";

/**
 * Overwrites the keys of the SAs in `ops`, for a runner that has carried them out, well or not: the data plane has copies of its own by
 * then, and the engine asks for none of these SAs again.
 */
export function wipeHandedOver(ops: readonly DataPlaneOp[]): void {
  for (const op of ops) {
    if (op.op !== "installSa") continue;
    const { encryption, integrity } = op.args[0];
    encryption.key.fill(0);
    integrity?.key.fill(0);
  }
}
