import type { Endpoint } from "@sallyport/base";
import type { SaSpec } from "@sallyport/dataplane";
import type { Path } from "./child-sa.js";
import { encapsulates } from "./nat.js";
import type { IkeSa } from "./sa.js";

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && (a.address === b.address || a.address.equals(b.address));
}

function samePath(a: Path, b: Path): boolean {
  return a.encapsulated === b.encapsulated && sameEndpoint(a.local, b.local) && sameEndpoint(a.remote, b.remote);
}

/**
 * Where CHILD SAs of this IKE SA belong: where it stood before a move that is not agreed on yet. Gives the object that one of
 * them has already, when it says the same.
 */
export function pathOf(sa: IkeSa): Path {
  const { local, remote, nat } = sa.mobike?.before ?? sa;
  const path = { local, remote, encapsulated: encapsulates({ nat }) };
  return sa.children.find((c) => samePath(c.path, path))?.path ?? path;
}

/** The outer header of one direction's SA. */
export function place(path: Path, direction: "in" | "out"): Pick<SaSpec, "source" | "destination" | "encapsulation"> {
  const [from, to] = direction === "in" ? [path.remote, path.local] : [path.local, path.remote];
  return {
    source: from.address,
    destination: to.address,
    ...(path.encapsulated ? { encapsulation: { sourcePort: from.port, destinationPort: to.port } } : {}),
  };
}
