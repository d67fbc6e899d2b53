import type { PingResult } from "@sallyport/testkit";
import type { Fleet } from "./fleet.ts";
import { type Narrator, seconds } from "./narrator.ts";
import type { Health } from "./operations.ts";
import { BRANCH, HEADQUARTERS, NS, PARTNER } from "./world.ts";

export interface TunnelOutcome {
  readonly name: string;
  readonly state: string;
  readonly lossPct: number;
  readonly rttMs: number | undefined;
}

export interface Outcome {
  readonly setupMs: number;
  readonly onboardToPingMs: number;
  readonly tunnels: readonly TunnelOutcome[];
  /** From the mutation that makes the hand-over to the laptop's first reply from inside. */
  readonly issueToPingMs: number;
  /** From the mutation that revokes to the laptop's own word that its SA is gone. */
  readonly revokeToDropMs: number;
  /** Whether the laptop was refused when it tried again. */
  readonly revokedIsRefused: boolean;
  /** Whether GraphQL has the laptop's lease as one that ended. */
  readonly leaseEnded: boolean;
  /** By what code the audit log has the refusal. */
  readonly refusalAudited: string;
}

const WAYS = [
  {
    tunnel: /branch/i,
    label: "branch ↔ headquarters",
    hosts: [NS.branchHost, NS.headquartersHost],
    addresses: [BRANCH.host, HEADQUARTERS.host],
  },
  {
    tunnel: /partner/i,
    label: "headquarters ↔ partner",
    hosts: [NS.headquartersHost, NS.partnerHost],
    addresses: [HEADQUARTERS.host, PARTNER.host],
  },
] as const;

const PICTURE = [
  "",
  "      branch-host ── branch ── NAT ──╮            ╭── headquarters ── hq-host",
  "      10.20.0.10                     ├─ internet ─┤                   10.10.0.10",
  "                   control plane ────┤            ├── partner (strongSwan) ── partner-host",
  "                   laptop ───────────╯            ╯                           10.99.0.10",
  "",
];

const short = (text: string, length: number) => (text.length <= length ? text : `${text.slice(0, length - 1)}…`);
const both = (a: PingResult, b: PingResult): PingResult => ({
  sent: a.sent + b.sent,
  received: a.received + b.received,
  lossPct: Math.max(a.lossPct, b.lossPct),
  rttMs: a.rttMs ?? b.rttMs,
  longestGapMs: Math.max(a.longestGapMs, b.longestGapMs),
});

/** Everything from an empty machine to packets that flow, told step by step. Rejects at the first step that fails. */
export async function tell(fleet: Fleet, say: Narrator, setupStartedAt: number): Promise<Outcome> {
  await say.step("Control plane with a PostgreSQL of its own", () => fleet.startControlPlane());
  const { email, oneTimePassword, apiToken } = fleet.controlPlane.firstOperator;
  say.note("GraphQL", `${fleet.controlPlane.url}  ${say.dim("(GraphiQL in a browser: /graphiql)")}`);
  say.note("sign in", `${email}  ${say.dim("one-time password")} ${oneTimePassword}`);
  say.note("API token", apiToken);
  await say.step("Network namespaces: an internet and three sites", () => fleet.layOut());
  const setupMs = Date.now() - setupStartedAt;
  for (const line of PICTURE) say.line(say.dim(line));

  const headquarters = await say.step("Headquarters: described, enrolled, connected", (d) =>
    fleet.createHeadquarters(d),
  );
  say.note("on its gateway", short(headquarters.command, 56));
  const branch = await say.step("Branch office: onboarded with one mutation", (d) => fleet.onboardBranch(d));
  say.note("on its gateway", short(branch.command, 56));
  say.note("", say.green(`${seconds(branch.toPingMs)} from the mutation to the first ping across the tunnel`));
  await say.step("Partner: added with a pre-shared key, answered by strongSwan", (d) => fleet.addPartner(d));

  const laptop = await roadWarrior(fleet, say);

  const pings = await say.step("Hosts ping each other across", () =>
    Promise.all(
      WAYS.map(async ({ hosts: [a, b], addresses: [atA, atB] }) =>
        both(await fleet.ping(a, atB), await fleet.ping(b, atA)),
      ),
    ),
  );
  WAYS.forEach(({ label }, i) => {
    const p = pings[i] as PingResult;
    const verdict = p.lossPct === 0 ? say.green("0 % lost") : say.red(`${p.lossPct} % lost`);
    say.line(`      ${label.padEnd(24)} ${p.received} of ${p.sent} came back, ${verdict}, ${p.rttMs ?? "–"} ms`);
  });
  const health = await say.step("Fleet health, as GraphQL tells it", () => fleet.healthy(WAYS.length));
  showHealth(health, say);
  const tunnels = health.tunnels.edges.map(({ node: { name, state } }) => {
    const p = pings[WAYS.findIndex((way) => way.tunnel.test(name))];
    return { name, state, lossPct: p?.lossPct ?? 100, rttMs: p?.rttMs };
  });
  return {
    ...{ setupMs, onboardToPingMs: Math.round(branch.toPingMs), tunnels },
    ...laptop,
  };
}

/** A colleague needs VPN on a laptop; then the laptop is stolen. */
async function roadWarrior(fleet: Fleet, say: Narrator) {
  const laptop = await say.step("Remote access at headquarters, a person, a laptop", (d) =>
    fleet.prepareRoadWarrior(d),
  );
  const { toPingMs, address } = await say.step("The laptop is set up by the link, with strongSwan", (d) =>
    laptop.connect(d),
  );
  say.note("its address", address);
  say.note("", say.green(`${seconds(toPingMs)} from the certificate to the first ping from the laptop`));
  const { toDropMs, refusedAgain, leaseEnded, audited } = await say.step(
    "The laptop is stolen: revoked everywhere",
    (d) => laptop.revoke(d),
  );
  say.note("", say.green(`${Math.round(toDropMs)} ms from the mutation until its SA was gone`));
  return {
    issueToPingMs: Math.round(toPingMs),
    revokeToDropMs: Math.round(toDropMs),
    revokedIsRefused: refusedAgain,
    leaseEnded,
    refusalAudited: audited,
  };
}

function showHealth({ fleetHealth, tunnels }: Health, say: Narrator): void {
  const { gateways, gatewaysConnected, tunnelsUp } = fleetHealth;
  say.line(
    `      ${gatewaysConnected} of ${gateways} gateways connected, ${tunnelsUp} of ${fleetHealth.tunnels} tunnels up`,
  );
  for (const { node } of tunnels.edges) {
    say.line();
    say.line(`      ${node.state === "UP" ? say.green("● UP") : say.red(`● ${node.state}`)}  ${say.bold(node.name)}`);
    for (const { gateway, ikeSas, lastError } of node.ends) {
      for (const ike of ikeSas) {
        say.line(`        ${gateway.name.padEnd(14)} IKEv2 ${ike.proposal}${ike.natLocal ? ", behind NAT" : ""}`);
        for (const child of ike.childSas) {
          const spis = `${child.inboundSpi} in, ${child.outboundSpi} out`;
          say.line(say.dim(`        ${"".padEnd(14)} ESP ${child.proposal}, SPIs ${spis}`));
        }
      }
      if (ikeSas.length === 0) say.line(`        ${gateway.name.padEnd(14)} ${lastError?.message ?? "no SA"}`);
    }
  }
}

/** How long a revoked device may stay, at most. */
const DROP_MS = 1_000;

/** What is not as it should be, or undefined. */
export function complaint({
  tunnels,
  revokeToDropMs,
  revokedIsRefused,
  leaseEnded,
  refusalAudited,
}: Outcome): string | undefined {
  if (revokeToDropMs > DROP_MS) return `the revoked laptop was dropped after ${revokeToDropMs} ms only`;
  if (!revokedIsRefused) return "the revoked laptop got in again";
  if (!leaseEnded) return "the laptop's lease is somebody else's";
  if (refusalAudited !== "pki/revoked") return `the refusal of the revoked laptop is audited as ${refusalAudited}`;
  if (tunnels.length !== WAYS.length) return `${tunnels.length} tunnels instead of ${WAYS.length}`;
  const bad = tunnels.find((t) => t.state !== "UP" || t.lossPct > 0);
  return bad && `the tunnel ${bad.name} is ${bad.state} and lost ${bad.lossPct} % of the pings`;
}
