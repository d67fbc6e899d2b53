import { endpointText } from "@sallyport/base";
import type { DataPlane, SaState } from "@sallyport/dataplane";
import type { ChildStatus, Effect, EngineStatus, IkeStatus } from "@sallyport/ike";
import { type GatewayIntent, selectorText } from "@sallyport/intent";
import type { CertificateFacts } from "./credentials.js";
import { SAS_AT_ONCE, sasBySpi } from "./report.js";
import { eachOf, inSlices } from "./slices.js";

/** What both ends of one connection would have to agree on, as it is offered. */
export interface ProposalFacts {
  readonly connection: string;
  readonly ike: readonly string[];
  readonly children: readonly { readonly child: string; readonly esp: readonly string[] }[];
}

export function proposalFacts(intent: GatewayIntent | undefined): ProposalFacts[] {
  return (intent?.connections ?? []).map(({ name, ikeProposals, children }) => ({
    connection: name,
    ike: ikeProposals,
    children: children.map((c) => ({ child: c.name, esp: c.espProposals })),
  }));
}

export function proposalsText(facts: readonly ProposalFacts[]): string {
  return facts
    .flatMap(({ connection, ike, children }) => [
      `${connection}: IKE ${ike.join(", ")}`,
      ...children.map(({ child, esp }) => `  ${child}: ESP ${esp.join(", ")}`),
    ])
    .join("\n");
}

const day = (millis: number) => new Date(millis).toISOString().slice(0, 10);

export function certificatesText(facts: readonly CertificateFacts[], now: number): string {
  return facts
    .flatMap((c) => {
      const left = Math.floor((c.notAfter - now) / 86_400_000);
      return [
        `${c.role}: ${c.subject}`,
        `  issuer ${c.issuer}, serial ${c.serial}, ${c.kind}`,
        `  valid ${day(c.notBefore)} to ${day(c.notAfter)}, ${left < 0 ? `expired ${-left} days ago` : `${left} days left`}`,
        `  SHA-256 ${c.fingerprint}`,
        ...(c.revocation ? [`  revocation: ${c.revocation}`] : []),
      ];
    })
    .join("\n");
}

/** One SA as the data plane has it; its keys are never read back. */
export interface SaFacts {
  readonly spi: string;
  readonly direction: "in" | "out";
  readonly peer: string;
  readonly child: string;
  readonly source: string;
  readonly destination: string;
  readonly mode: string;
  readonly suite: string;
  readonly keys: "masked";
  readonly selectors: readonly string[];
  readonly bytes: string;
  readonly packets: string;
  readonly sequence: string;
  /** Packets of an inbound SA's window (RFC 4303 §3.4.3), and what fell out of it; null outbound. */
  readonly replayWindow: number | null;
  readonly outOfWindow: number;
  readonly replayed: number;
  readonly integrityFailures: number;
  readonly ageSeconds: number;
}

function saFacts(peer: string, ike: IkeStatus, child: ChildStatus, sa: SaState): SaFacts {
  const udp = sa.encapsulation;
  const [from, to] = [sa.source.toString(), sa.destination.toString()];
  return {
    spi: sa.spi.toString(16).padStart(8, "0"),
    direction: sa.direction,
    peer,
    child: child.name,
    source: udp ? endpointText({ address: sa.source, port: udp.sourcePort }) : from,
    destination: udp ? endpointText({ address: sa.destination, port: udp.destinationPort }) : to,
    mode: sa.mode,
    suite: child.suite || ike.suite,
    keys: "masked",
    selectors: [`${child.local.map(selectorText).join(", ")} === ${child.remote.map(selectorText).join(", ")}`],
    bytes: String(sa.bytes),
    packets: String(sa.packets),
    sequence: String(sa.sequence),
    replayWindow: sa.direction === "in" ? sa.replayWindow : null,
    outOfWindow: sa.outOfWindow,
    replayed: sa.replayed,
    integrityFailures: sa.integrityFailures,
    ageSeconds: sa.ageSeconds,
  };
}

/** The CHILD SAs of the engine with what the data plane counts for them. */
export async function listSas(status: EngineStatus, dataPlane: Pick<DataPlane, "listSas">): Promise<SaFacts[]> {
  return inSlices(allFacts(status, await dataPlane.listSas()));
}

function* allFacts(status: EngineStatus, listed: readonly SaState[]): Generator<undefined, SaFacts[]> {
  const bySpi = yield* sasBySpi(listed);
  const out: SaFacts[] = [];
  for (const { name, sas } of status.peers) {
    const ofEach = yield* eachOf(sas, SAS_AT_ONCE, (ike) =>
      ike.children.flatMap((child) =>
        [bySpi.get(`in ${child.spiIn}`), bySpi.get(`out ${child.spiOut}`)].flatMap((sa) =>
          sa ? [saFacts(name, ike, child, sa)] : [],
        ),
      ),
    );
    for (const facts of ofEach) out.push(...facts);
  }
  return out;
}

export function* sasLines(sas: readonly SaFacts[]): Generator<string, void> {
  for (const sa of sas) {
    yield `${sa.child} (${sa.peer}) ${sa.direction}: SPI ${sa.spi}, ${sa.source} → ${sa.destination}, ${sa.mode}`;
    yield `  ${sa.suite}, keys ${sa.keys}, ${sa.selectors.join("; ")}`;
    yield `  ${sa.packets} packets, ${sa.bytes} octets, sequence ${sa.sequence}, ${sa.replayed} replayed, ${sa.integrityFailures} with a wrong ICV, ${sa.ageSeconds} s old`;
    if (sa.replayWindow !== null) yield `  window of ${sa.replayWindow} packets, ${sa.outOfWindow} older than that`;
  }
}

/** One traced message as lines for people. */
export function traceText({ direction, local, remote, lines, at }: Extract<Effect, { do: "trace" }>): string[] {
  const [first, ...payloads] = lines;
  const arrow = direction === "in" ? "←" : "→";
  return [
    `${(at / 1000).toFixed(3)} ${endpointText(local)} ${arrow} ${endpointText(remote)} ${first}`,
    ...payloads.map((line) => `    ${line}`),
  ];
}
