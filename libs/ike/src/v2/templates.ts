import type { ChildConfig, TrafficRange } from "../config.js";
import { configured, type Ends, narrow, rangesText, within } from "./narrow.js";

/**
 * What of the peer's selectors a child takes: what both allow (RFC 7296 §2.9). A template takes all or nothing: each selector has to
 * fit inside, in both directions (POL-10), but where it names no addresses the peer is narrowed to its own.
 */
export function take(child: ChildConfig, want: Ends, ends: Ends): Ends | undefined {
  const have = configured(child, ends);
  if (child.template) {
    if (child.local.length > 0 && !within(want.local, have.local)) return undefined;
    if (child.remote.length > 0 && !within(want.remote, have.remote)) return undefined;
  }
  const [local, remote] = [narrow(want.local, have.local), narrow(want.remote, have.remote)];
  return local.length > 0 && remote.length > 0 ? { local, remote } : undefined;
}

/** The packets that go into a CHILD SA: those of its selectors, with `port-override` of all ports (IDENT-04). */
export function packetsOf(child: ChildConfig, { local, remote }: Ends): Ends {
  if (child.template !== "port-override") return { local, remote };
  return { local: local.map(anyPort), remote: remote.map(anyPort) };
}

function anyPort(range: TrafficRange): TrafficRange {
  return { ...range, firstPort: 0, lastPort: 65_535 };
}

/** For messages about selectors that nobody takes. */
export function offerText(child: ChildConfig, ends: Ends): string {
  const have = configured(child, ends);
  return `${child.template ? "template " : ""}${rangesText(have.local)} === ${rangesText(have.remote)}`;
}
