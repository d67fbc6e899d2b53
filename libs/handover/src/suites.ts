import { type Proposal, type ProposalUse, parseProposals, proposalText } from "@sallyport/intent";
import type { Description } from "./description.js";
import type { DeviceRules } from "./devices.js";
import { fault, type Note, note } from "./faults.js";

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
const common = <T>(ours: readonly T[], theirs: readonly T[]) => ours.filter((x) => theirs.some((y) => same(x, y)));

/** What of the gateway's proposal the device can propose too; undefined when that is no whole proposal. */
function narrow(gateway: Proposal, device: Proposal, use: ProposalUse): Proposal | undefined {
  const parts = {
    encryption: common(gateway.encryption, device.encryption),
    integrity: common(gateway.integrity, device.integrity),
    prf: common(gateway.prf, device.prf),
    groups: common(gateway.groups, device.groups),
    esn: common(gateway.esn, device.esn),
  };
  const whole = (Object.keys(parts) as (keyof Proposal)[]).every(
    (part) => gateway[part].length === 0 || parts[part].length > 0,
  );
  const sameForm = (gateway.integrity.length === 0) === (device.integrity.length === 0);
  return whole && sameForm && (use === "esp" || parts.groups.length > 0) ? parts : undefined;
}

/** The first of everything. */
const single = ({ encryption, integrity, prf, groups, esn }: Proposal): Proposal => ({
  encryption: encryption.slice(0, 1),
  integrity: integrity.slice(0, 1),
  prf: prf.slice(0, 1),
  groups: groups.slice(0, 1),
  esn: esn.slice(0, 1),
});

/** The device's proposals, in the gateway's order. @throws handover/no-common-proposal, intent/bad-proposal */
function choose(texts: readonly string[], use: ProposalUse, rules: DeviceRules): readonly [Proposal, ...Proposal[]] {
  const gateway = parseProposals(texts, use, `proposals.${use}`);
  const device = rules.suites[use];
  const found = device
    ? gateway.flatMap((g) => device.map((d) => narrow(g, d, use)).filter((p) => p !== undefined))
    : gateway;
  const [first, ...more] = found;
  if (first === undefined) {
    throw fault("handover/no-common-proposal", `proposals.${use}: the device can do none of them`, {
      field: `proposals.${use}`,
      facts: { ours: texts.join(", "), theirs: (device ?? []).map(proposalText).join(", ") },
    });
  }
  if (rules.holds === "all") return [first, ...more];
  return [rules.holds === "one" ? single(first) : first];
}

/** What the device proposes: the first has to do where it holds one only. */
export interface Suites {
  readonly ike: readonly [Proposal, ...Proposal[]];
  readonly esp: readonly [Proposal, ...Proposal[]];
  readonly notes: readonly Note[];
}

export function suitesFor({ proposals }: Description, rules: DeviceRules): Suites {
  const ike = choose(proposals.ike, "ike", rules);
  const esp = choose(proposals.esp, "esp", rules);
  const isWhole = (use: ProposalUse, chosen: readonly Proposal[]) => same(parseProposals(proposals[use], use), chosen);
  const whole = isWhole("ike", ike) && isWhole("esp", esp);
  const used = `${ike.map(proposalText).join(", ")}; ${esp.map(proposalText).join(", ")}`;
  return { ike, esp, notes: whole ? [] : [note("handover/proposals-left-out", used)] };
}
