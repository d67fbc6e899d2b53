import type { ChildView, IkeView } from "./peer.js";

/** What pluto logs of a state once, when it is established. */
interface Established {
  readonly initiator: boolean;
  readonly suite: string;
  readonly localTs: string;
  readonly remoteTs: string;
}

const NOTHING: Established = { initiator: false, suite: "", localTs: "", remoteTs: "" };

/** `10.1.0.0-10.1.0.255:0-65535 0` (addresses, ports, protocol) as pluto writes a selector. */
const SELECTOR = String.raw`\[([^\]]*)\]`;
const CHILD = new RegExp(
  `#(\\d+): (initiator|responder) .*Child SA.*; IPsec \\S+ ${SELECTOR} -> ${SELECTOR} .*xfrm=(\\S+)`,
);
const IKE =
  /#(\d+): (?:sent IKE_SA_INIT reply|sent IKE_AUTH request|(initiator|responder) rekeyed IKE SA #\d+) \{(.*)\}/;
const IDENTITY =
  /#(\d+): (?:initiator|responder) established IKE SA; authenticated (?:peer using .* and \S+|.* certificate) '(.*?)'/;
const REKEYED = /#(\d+): (?:initiator|responder) rekeyed IKE SA #(\d+)/;

/** `cipher=AES_GCM_16_256 integ=n/a prf=HMAC_SHA2_256 group=DH31` as `AES_GCM_16_256/HMAC_SHA2_256/DH31`. */
const ikeSuite = (text: string) =>
  text
    .split(" ")
    .map((part) => part.split("=")[1] ?? "")
    .filter((value) => value !== "n/a")
    .join("/");

/** Reads what the log says of each state number. */
function readLog(log: string) {
  const states = new Map<string, Established>();
  const identities = new Map<string, string>();
  for (const line of log.split("\n")) {
    const child = CHILD.exec(line);
    if (child) {
      const [, number = "", role, localTs = "", remoteTs = "", suite = ""] = child;
      states.set(number, { initiator: role === "initiator", suite, localTs, remoteTs });
      continue;
    }
    const ike = IKE.exec(line);
    if (ike) {
      const [, number = "", role, suite = ""] = ike;
      const initiator = role ? role === "initiator" : line.includes("IKE_AUTH request");
      states.set(number, { ...NOTHING, initiator, suite: ikeSuite(suite) });
    }
    const established = IDENTITY.exec(line);
    if (established) identities.set(established[1] ?? "", established[2] ?? "");
    const rekeyed = REKEYED.exec(line);
    if (rekeyed) identities.set(rekeyed[1] ?? "", identities.get(rekeyed[2] ?? "") ?? "");
  }
  return { states, identities };
}

interface State {
  readonly number: string;
  readonly connection: string;
  readonly state: string;
  /** Number of the IKE SA that a CHILD SA belongs to. */
  readonly ike: string | undefined;
}

/** What pluto says of its SAs. */
export interface Shown {
  /** Of whack's `--showstates`, and of its `--trafficstatus`, whose counters are not rounded to units. */
  readonly status: string;
  readonly log: string;
}

/** Joins what was shown; `ikeOf` gives the name under which a connection's IKE SA goes. */
export function readStates({ status, log }: Shown, ikeOf: (connection: string) => string): IkeView[] {
  const { states, identities } = readLog(log);
  const found: State[] = [];
  const spis = new Map<string, { out: string; in: string }>();
  const counters = new Map<string, { in: number; out: number }>();
  for (const line of status.split("\n")) {
    const counted = /#(\d+): .*inBytes=(\d+), outBytes=(\d+)/.exec(line);
    if (counted) counters.set(counted[1] ?? "", { in: Number(counted[2]), out: Number(counted[3]) });
    const state = /#(\d+): "([^"]+)".* (STATE_\w+) .*?(?:IKE SA #(\d+);)?[^#]*$/.exec(line);
    if (state) {
      const [, number = "", connection = "", name = "", ike] = state;
      found.push({ number, connection, state: name, ike });
    }
    const sa = /#(\d+): ".* (?:esp|ah)[.:]([0-9a-f]+)@\S+ (?:esp|ah)[.:]([0-9a-f]+)@/.exec(line);
    if (sa) {
      const [, number = "", out = "", inward = ""] = sa;
      spis.set(number, { out, in: inward });
    }
  }
  const children = (ike: string): ChildView[] =>
    found.flatMap((state) => {
      const sa = spis.get(state.number);
      if (state.ike !== ike || !sa) return [];
      const { suite, localTs, remoteTs } = states.get(state.number) ?? NOTHING;
      return {
        name: state.connection,
        uniqueId: state.number,
        state: state.state === "STATE_V2_ESTABLISHED_CHILD_SA" ? "INSTALLED" : state.state,
        spiIn: Number.parseInt(sa.in, 16),
        spiOut: Number.parseInt(sa.out, 16),
        suite,
        bytesIn: counters.get(state.number)?.in ?? 0,
        bytesOut: counters.get(state.number)?.out ?? 0,
        localTs: [localTs],
        remoteTs: [remoteTs],
      };
    });
  return found
    .filter((state) => !/CHILD|REKEY_IKE|V2_NEW_CHILD/.test(state.state))
    .map((state) => ({
      name: ikeOf(state.connection),
      uniqueId: state.number,
      state: state.state === "STATE_V2_ESTABLISHED_IKE_SA" ? "ESTABLISHED" : state.state,
      initiator: (states.get(state.number) ?? NOTHING).initiator,
      remoteId: identities.get(state.number) ?? "",
      suite: (states.get(state.number) ?? NOTHING).suite,
      children: children(state.number),
    }));
}
