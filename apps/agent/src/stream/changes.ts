import { equals } from "@bufbuild/protobuf";
import { type IkeSa, IkeSaSchema, type TunnelState, TunnelStateSchema } from "@sallyport/contract";

/** What is told of a tunnel: its own state without its IKE SAs, and these by `saKey`. */
export interface TunnelReport {
  readonly state: TunnelState;
  readonly sas: ReadonlyMap<string, IkeSa>;
}

/** All tunnels of the running intent by their ids. */
export type Snapshot = ReadonlyMap<string, TunnelReport>;

/** One IKE SA of a tunnel; without `sa`, one that is gone. */
export interface SaChange {
  readonly tunnelId: string;
  readonly initiatorSpi: string;
  readonly responderSpi: string;
  readonly sa: IkeSa | undefined;
}

export interface Changes {
  readonly tunnels: readonly TunnelState[];
  readonly removed: readonly string[];
  readonly sas: readonly SaChange[];
}

/** Of the SAs of one tunnel. */
export const saKey = (sa: { readonly initiatorSpi: string; readonly responderSpi: string }) =>
  `${sa.initiatorSpi} ${sa.responderSpi}`;

export function saChange(tunnelId: string, { initiatorSpi, responderSpi }: IkeSa, sa: IkeSa | undefined): SaChange {
  return { tunnelId, initiatorSpi, responderSpi, sa };
}

/** SAs and tunnels that are compared between two interruptions. */
const AT_ONCE = 32;

/** What has to be told to whoever knows `before`. SAs that came stand before those that went: children that moved are never nobody's. */
export function* changesBetween(before: Snapshot, after: Snapshot): Generator<undefined, Changes> {
  const tunnels: TunnelState[] = [];
  const came: SaChange[] = [];
  const gone: SaChange[] = [];
  let looked = 0;
  for (const [id, { state, sas }] of after) {
    const known = before.get(id);
    if (known === undefined || !equals(TunnelStateSchema, known.state, state)) tunnels.push(state);
    for (const [key, sa] of sas) {
      const was = known?.sas.get(key);
      if (was === undefined || !equals(IkeSaSchema, was, sa)) came.push(saChange(id, sa, sa));
      if (++looked % AT_ONCE === 0) yield;
    }
    if (++looked % AT_ONCE === 0) yield;
  }
  for (const [id, { sas }] of before) {
    const still = after.get(id)?.sas;
    for (const [key, sa] of sas) {
      if (!still?.has(key)) gone.push(saChange(id, sa, undefined));
      if (++looked % (AT_ONCE * 32) === 0) yield;
    }
  }
  const removed = [...before.keys()].filter((id) => !after.has(id));
  return { tunnels, removed, sas: came.concat(gone) };
}
