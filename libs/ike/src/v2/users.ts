import type { ChildConfig, ModeConfig, PeerConfig, UserModeConfig } from "../config.js";
import { ID } from "../wire/registry.js";
import type { Child } from "./child-sa.js";
import { identificationText, toIdentification } from "./identity.js";
import { once } from "./memo.js";
import { narrow, within } from "./narrow.js";
import type { IkeSa } from "./sa.js";

/** Whom a peer is, for what is different for one user. */
type Who = Pick<IkeSa, "peer" | "user" | "remoteId">;

/** Users by the text of their identity: there may be many. */
const indexes = new WeakMap<ModeConfig, ReadonlyMap<string, UserModeConfig>>();

function byText(config: ModeConfig): ReadonlyMap<string, UserModeConfig> {
  return once(
    indexes,
    config,
    () => new Map(config.users.map((user) => [identificationText(toIdentification(user.identity)), user])),
  );
}

/** What is different for the one who has proved this identity. */
export function userOf(sa: Who, config: ModeConfig | undefined = sa.peer?.modeConfig): UserModeConfig | undefined {
  if (!config) return undefined;
  const who = sa.user ?? (sa.remoteId && identificationText(sa.remoteId));
  return who === undefined ? undefined : byText(config).get(who);
}

/**
 * The user that the caller's certificate is for, where the caller names itself by the subject (ID_DER_ASN1_DN, CLI-06) and that is no
 * user's identity (IDENT-06). Undefined where the certificate proves no user's name, or the names of several.
 */
export function userCertified({ peer, remoteId }: Who, names: readonly string[] = []): string | undefined {
  const config = peer?.modeConfig;
  if (!config || remoteId?.idType !== ID.DER_ASN1_DN || userOf({ peer, remoteId, user: undefined })) return undefined;
  const [found, ...others] = new Set(names.filter((name) => byText(config).has(name)));
  return others.length === 0 ? found : undefined;
}

/** Whether `peer` is for the one who has proved this identity. */
export function isMember(sa: Who, peer: PeerConfig): boolean {
  return !peer.modeConfig?.onlyUsers || userOf(sa, peer.modeConfig) !== undefined;
}

/** IKE SAs that the identity may have at once. */
export function sasAllowed(sa: Who, peer: PeerConfig): number {
  return userOf(sa, peer.modeConfig)?.sas ?? peer.sasPerIdentity;
}

/** A child as it is for the one at the other end: with what of our networks he may reach. Undefined: nothing of them. */
export function openTo(sa: Who, child: ChildConfig): ChildConfig | undefined {
  const reach = userOf(sa)?.reach;
  if (!reach || child.local.length === 0) return child;
  const local = narrow(reach, child.local);
  if (local === child.local) return child;
  return local.length > 0 ? { ...child, local } : undefined;
}

/** Whether a standing CHILD SA lies within what the one at its other end may reach now. */
export function reachesNoFurther(sa: Who, child: Pick<Child, "local">, config: ChildConfig): boolean {
  const open = openTo(sa, config);
  return open === config || (open !== undefined && within(child.local, open.local));
}
