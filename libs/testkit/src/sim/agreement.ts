import type { SaSpec } from "@sallyport/dataplane";
import type { ChildStatus, IkeStatus } from "@sallyport/ike";
import type { SimPeer } from "./sim-peer.js";

const hex = (bytes: Uint8Array | undefined) => (bytes ? Buffer.from(bytes).toString("hex") : "");

function sameKeys(x: SaSpec, y: SaSpec): boolean {
  return (
    x.encryption.algorithm === y.encryption.algorithm &&
    hex(x.encryption.key) === hex(y.encryption.key) &&
    x.integrity?.algorithm === y.integrity?.algorithm &&
    hex(x.integrity?.key) === hex(y.integrity?.key) &&
    x.esn === y.esn &&
    x.mode === y.mode
  );
}

/** Whether a packet that `from` sends on `sa` is opened by `to`, and as what it was sealed. */
export function reaches(sa: SaSpec, to: SimPeer): boolean {
  const inbound = to.dataPlane.inbound().find((s) => s.spi === sa.spi);
  return inbound !== undefined && sameKeys(sa, inbound);
}

function live(sa: IkeStatus): ChildStatus[] {
  return sa.children.filter((c) => c.state === "installed" || c.state === "rekeying");
}

/** Everything that two ends do not agree on, as text; empty when they have one IKE SA and one CHILD SA per configured child, and nothing besides. */
export function disagreements(a: SimPeer, b: SimPeer, children = 1): string[] {
  const out: string[] = [];
  const [x, y] = [a.established(b.name), b.established(a.name)];
  if (x.length !== 1 || y.length !== 1) out.push(`${x.length} IKE SAs at ${a.name}, ${y.length} at ${b.name}`);
  const [ike, other] = [x[0], y[0]];
  if (ike && other && (ike.spiInitiator !== other.spiInitiator || ike.spiResponder !== other.spiResponder)) {
    out.push(`IKE SPIs differ: ${ike.spiInitiator}/${ike.spiResponder}, ${other.spiInitiator}/${other.spiResponder}`);
  }
  if (ike && other) out.push(...childDisagreements(ike, other, children));
  for (const peer of [a, b]) out.push(...leaks(peer, children));
  for (const [from, to] of [[a, b] as const, [b, a] as const]) {
    for (const sa of from.dataPlane.outbound()) {
      if (!reaches(sa, to)) out.push(`${from.name} sends on SPI ${sa.spi}, which ${to.name} cannot open`);
    }
  }
  return out;
}

function childDisagreements(ike: IkeStatus, other: IkeStatus, children: number): string[] {
  const out: string[] = [];
  const [mine, theirs] = [live(ike), live(other)];
  if (mine.length !== children || theirs.length !== children) {
    out.push(`${mine.length} and ${theirs.length} CHILD SAs, expected ${children}`);
  }
  for (const c of mine) {
    if (!theirs.some((t) => t.spiIn === c.spiOut && t.spiOut === c.spiIn)) out.push(`${c.child}: SPIs do not meet`);
  }
  return out;
}

function leaks(peer: SimPeer, children: number): string[] {
  const out: string[] = [];
  const { name } = peer;
  const [ins, outs] = [peer.dataPlane.inbound().length, peer.dataPlane.outbound().length];
  if (ins !== children || outs !== children) out.push(`${name}: ${ins} inbound and ${outs} outbound SAs`);
  const sizes = peer.engine.sizes();
  if (sizes.ikeSas !== 1) out.push(`${name}: ${sizes.ikeSas} IKE SAs in memory`);
  if (sizes.waiting !== 0) out.push(`${name}: ${sizes.waiting} effects never answered`);
  if (sizes.halfOpen !== 0) out.push(`${name}: ${sizes.halfOpen} half-open IKE SAs`);
  for (const { code, message, input } of peer.of("internal-error")) out.push(`${name}: ${input}: ${code}: ${message}`);
  return out;
}

/** What of the traffic in both directions, one packet each `everyMs` for `seconds`, was lost; the policy decides which SA takes it. */
export function traffic(
  ends: { readonly a: SimPeer; readonly b: SimPeer; readonly at: (ms: number, run: () => void) => void },
  flow: { readonly seconds: number; readonly everyMs: number; readonly delayMs: number },
): { sent: number; lost: string[] } {
  const report = { sent: 0, lost: [] as string[] };
  for (let t = 0; t < flow.seconds * 1000; t += flow.everyMs) {
    ends.at(t, () => {
      for (const [from, to] of [[ends.a, ends.b] as const, [ends.b, ends.a] as const]) {
        const policy = [...from.dataPlane.policies.values()].find((p) => p.direction === "out");
        const sa = policy?.template && from.dataPlane.sending(policy.template.reqid);
        report.sent++;
        if (!sa) report.lost.push(`${from.name}: no SA`);
        else {
          ends.at(t + flow.delayMs, () => {
            const { arrived } = to.dataPlane;
            if (reaches(sa, to)) arrived.set(sa.spi, (arrived.get(sa.spi) ?? 0) + 1);
            else report.lost.push(`${to.name}: SPI ${sa.spi}`);
          });
        }
      }
    });
  }
  return report;
}
