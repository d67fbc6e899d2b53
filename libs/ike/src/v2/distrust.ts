import type { Failure } from "../api.js";
import { errorOf } from "./failures.js";
import { whoIs } from "./identity.js";
import { disown, ensure } from "./lifecycle.js";
import type { IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

/** A certificate by which peers proved themselves is not believed any more; IKE SAs that do not rest on it are not touched. */
export function distrust(turn: Turn, certificate: string, failure: Failure): void {
  for (const { serial, certificates } of turn.core.table.all())
    if (certificates.includes(certificate)) turn.defer(serial, { do: "distrust", certificate, failure });
}

/** The CHILD SAs of one that rests on it carry nothing from here on, whatever the peer says to its Delete. */
export function distrustOne(turn: Turn, sa: IkeSa, certificate: string, failure: Failure): void {
  if (sa.phase === "deleting") return;
  const error = errorOf(turn, "", failure, { theirs: sa.subject ?? certificate });
  const refused = whoIs(sa);
  turn.emit({ event: "auth-failed", peer: sa.peer?.id, remote: sa.remote, error, refused, at: turn.now });
  const state = turn.core.peers.get(sa.peer?.id ?? "");
  if (state) state.lastError = error;
  disown(turn, sa);
  ensure(turn, sa.peer?.id);
}
