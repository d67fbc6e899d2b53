import { create } from "@bufbuild/protobuf";
import { StateReportSchema, TunnelStatus } from "@sallyport/contract";
import fc from "fast-check";
import type { StateBatch } from "../tunnels/tunnel-state.service.js";
import { BACKLOG_LIMITS, StateBacklog } from "./state-backlog.js";

/** Rows, by what a batch says of itself. */
class Rows {
  readonly ends = new Map<string, { mark: string; status: string }>();
  readonly sas = new Map<string, { key: string; mark: string; state: string }>();

  write(batch: StateBatch): void {
    for (const { key, status } of batch.tunnels) this.ends.set(key, { mark: batch.mark, status });
    for (const { key, mark, sa } of batch.ikeSas) {
      this.sas.set(`${key} ${sa.initiatorSpi} ${sa.responderSpi}`, { key, mark, state: sa.state });
    }
    for (const n of batch.removedIkeSas) this.sas.delete(`${n.key} ${n.initiatorSpi} ${n.responderSpi}`);
    const apart = batch.completes === "with-sas";
    for (const [id, { key, mark }] of this.sas) {
      const settled = batch.settled.get(key) ?? (apart ? batch.mark : mark);
      if (mark !== settled || batch.removedKeys.includes(key)) this.sas.delete(id);
    }
    for (const [key, { mark }] of this.ends) {
      if (!batch.removedKeys.includes(key) && (batch.completes === "no" || mark === batch.mark)) continue;
      this.ends.delete(key);
      for (const [id, sa] of this.sas) if (sa.key === key) this.sas.delete(id);
    }
  }
}

type Told = Readonly<Record<string, Readonly<Record<string, string>>>>;
const told: fc.Arbitrary<Told> = fc.dictionary(
  fc.constantFrom("a", "b", "c"),
  fc.dictionary(fc.constantFrom("1", "2", "3", "4"), fc.constantFrom("established", "rekeying")),
);
const state = (tunnelId: string) => ({ tunnelId, status: TunnelStatus.UP });
const sasOf = (all: Told) =>
  Object.entries(all).flatMap(([tunnelId, sas]) =>
    Object.entries(sas).map(([initiatorSpi, is]) => ({ tunnelId, sa: { initiatorSpi, responderSpi: "f", state: is } })),
  );

const wholeTunnels = (all: Told) =>
  Object.keys(all).map((id) => ({
    ...state(id),
    ikeSas: sasOf(all).flatMap(({ tunnelId, sa }) => (tunnelId === id ? [sa] : [])),
  }));

/** Reports of all that there is, SAs with their tunnels or apart from them in parts of `size`. */
function complete(all: Told, apart: boolean, size: number) {
  const tunnels = Object.keys(all).map(state);
  if (!apart) return [create(StateReportSchema, { complete: true, tunnels: wholeTunnels(all) })];
  const sas = sasOf(all);
  const parts = Array.from({ length: Math.ceil(sas.length / size) }, (_, i) => sas.slice(i * size, (i + 1) * size));
  return [[], ...parts].map((ikeSas, i) =>
    create(StateReportSchema, {
      ...{ complete: i === 0, sasApart: true, more: i < parts.length, ikeSas, tunnels: i === 0 ? tunnels : [] },
    }),
  );
}

/** The report of what changed. */
function change(from: Told, to: Told, apart: boolean) {
  const removedTunnelIds = Object.keys(from).filter((id) => !(id in to));
  if (!apart) return create(StateReportSchema, { tunnels: wholeTunnels(to), removedTunnelIds });
  return create(StateReportSchema, {
    sasApart: true,
    removedTunnelIds,
    tunnels: Object.keys(to).map(state),
    ikeSas: sasOf(to).filter(({ tunnelId, sa }) => from[tunnelId]?.[sa.initiatorSpi] !== sa.state),
    removedIkeSas: sasOf(from).flatMap(({ tunnelId, sa }) =>
      to[tunnelId]?.[sa.initiatorSpi] === undefined
        ? [{ tunnelId, initiatorSpi: sa.initiatorSpi, responderSpi: sa.responderSpi }]
        : [],
    ),
  });
}

const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant("change" as const), to: told }),
    fc.record({ do: fc.constant("complete" as const), size: fc.integer({ min: 1, max: 3 }), cut: fc.nat(4) }),
    fc.record({ do: fc.constant("write" as const), batches: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ do: fc.constant("lose" as const) }),
  ),
  { maxLength: 25 },
);
const NOW = new Date(0);

describe("states that wait to be written", () => {
  it.each([
    ["apart from", true],
    ["with", false],
  ])("become the rows of what there is, whatever was merged, lost or cut: SAs %s their tunnels", (_name, apart) => {
    fc.assert(
      fc.property(steps, (list) => {
        const backlog = new StateBacklog();
        const rows = new Rows();
        let now: Told = {};
        for (const step of list) {
          if (step.do === "change") {
            backlog.take(change(now, step.to, apart), NOW);
            now = step.to;
          } else if (step.do === "complete") {
            // A stream may break within a complete report: another one follows.
            for (const part of complete(now, apart, step.size).slice(0, step.cut)) backlog.take(part, NOW);
            for (const part of complete(now, apart, step.size)) backlog.take(part, NOW);
          } else if (step.do === "lose") backlog.lose();
          else {
            for (let i = 0; i < step.batches; i++) {
              const batch = backlog.next();
              if (batch) rows.write(batch);
            }
          }
        }
        for (const part of complete(now, apart, 2)) backlog.take(part, NOW);
        for (let batch = backlog.next(); batch !== undefined; batch = backlog.next()) rows.write(batch);
        expect([...rows.ends.keys()].sort()).toEqual(Object.keys(now).sort());
        expect([...rows.sas].map(([id, sa]) => `${id} ${sa.state}`).sort()).toEqual(
          sasOf(now)
            .map(({ tunnelId, sa }) => `${tunnelId} ${sa.initiatorSpi} ${sa.responderSpi} ${sa.state}`)
            .sort(),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("without a loss need no complete report to become what there is", () => {
    fc.assert(
      fc.property(fc.array(told), fc.boolean(), fc.array(fc.boolean()), (list, apart, writes) => {
        const backlog = new StateBacklog();
        const rows = new Rows();
        let now: Told = {};
        for (const part of complete(now, apart, 1)) backlog.take(part, NOW);
        for (const [i, to] of list.entries()) {
          backlog.take(change(now, to, apart), NOW);
          now = to;
          const batch = writes[i] ? backlog.next() : undefined;
          if (batch) rows.write(batch);
        }
        for (let batch = backlog.next(); batch !== undefined; batch = backlog.next()) rows.write(batch);
        expect(rows.sas.size).toBe(sasOf(now).length);
        expect([...rows.ends.keys()].sort()).toEqual(Object.keys(now).sort());
      }),
      { numRuns: 300 },
    );
  });

  it("are bounded in number and in what is written at once", () => {
    const backlog = new StateBacklog();
    const many = (of: number) =>
      create(StateReportSchema, {
        sasApart: true,
        ikeSas: Array.from({ length: 1_000 }, (_, i) => ({ tunnelId: "a", sa: { initiatorSpi: `${of}-${i}` } })),
      });
    for (let i = 0; i < BACKLOG_LIMITS.ikeSas / 1_000; i++) backlog.take(many(i), NOW);
    expect(backlog.lost).toBe(false);
    expect(backlog.next()?.ikeSas).toHaveLength(BACKLOG_LIMITS.inBatch);
    backlog.take(many(-1), NOW);
    expect(backlog.lost).toBe(true);
    expect(backlog.next()).toBeUndefined();
    backlog.take(many(-2), NOW);
    expect(backlog.next()).toBeUndefined();
  });
});
