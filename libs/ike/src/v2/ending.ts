import type { Millis } from "../api.js";
import type { DownReason } from "../status.js";
import type { IkeSa } from "./sa.js";

/** How long the end that has to delete a superfluous IKE SA may take. */
export const PATIENCE_MS = 30_000;

/** Has an IKE SA delete itself first of all and begin nothing else any more; false when there is nobody to be told of it. */
export function toBeDeleted(sa: IkeSa, reason: DownReason, now: Millis): boolean {
  if (sa.phase === "init" || sa.phase === "auth") return false;
  if (sa.phase === "deleting") return true;
  sa.phase = "rekeyed";
  sa.rekeyAt = undefined;
  sa.expireAt = undefined;
  sa.dropAt = now + PATIENCE_MS;
  sa.queue = [{ kind: "delete-ike", reason }, ...sa.queue.filter((t) => t.kind !== "delete-ike")];
  return true;
}
