import type { Failure } from "../api.js";
import { errorOf } from "./failures.js";
import { whoIs } from "./identity.js";
import { disown, ensure } from "./lifecycle.js";
import type { Turn } from "./turn.js";

/**
 * A certificate by which peers proved themselves is not believed any more. Their CHILD SAs carry nothing from here on, whatever the
 * peer says to its Delete; other IKE SAs are not touched.
 */
export function distrust(turn: Turn, certificate: string, failure: Failure): void {
  const peers = new Set<string>();
  for (const { serial, certificates } of [...turn.core.table.all()]) {
    if (!certificates.includes(certificate)) continue;
    const sa = turn.edit(serial);
    if (!sa || sa.phase === "deleting") continue;
    const error = errorOf(turn, "", failure, { theirs: sa.subject ?? certificate });
    const refused = whoIs(sa);
    turn.emit({ event: "auth-failed", peer: sa.peer?.id, remote: sa.remote, error, refused, at: turn.now });
    const state = turn.core.peers.get(sa.peer?.id ?? "");
    if (state) {
      state.lastError = error;
      peers.add(state.config.id);
    }
    disown(turn, sa);
  }
  for (const peer of peers) ensure(turn, peer);
}
