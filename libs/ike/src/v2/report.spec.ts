import { IpAddress } from "@sallyport/base";
import { Core, type PeerState } from "./core.js";
import { engineStatus, stands } from "./report.js";
import type { IkeSa } from "./sa.js";

const SAS = 1_000;
const address = IpAddress.parse("192.0.2.1");
const peer = { id: "p", name: "p" };

function busyCore(phase: IkeSa["phase"]): Core {
  const core = new Core({ bytes: (n) => new Uint8Array(n) });
  core.peers.set("p", { config: peer, children: new Map() } as unknown as PeerState);
  for (let serial = 1; serial <= SAS; serial++) {
    const lists = { asking: [], waits: [], children: [], partials: [], responses: [], evidence: [], certificates: [] };
    const end = { address, port: 500 };
    const sa = {
      serial,
      initiator: true,
      spiI: BigInt(serial),
      spiR: 1n,
      phase,
      peer,
      local: end,
      remote: end,
      ...lists,
    };
    core.table.replace(serial, sa as unknown as IkeSa);
  }
  return core;
}

test("a report over many IKE SAs can be interrupted after every few, and by what ends them", () => {
  const core = busyCore("established");
  const steps = engineStatus(core);
  let interruptions = 0;
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) {
      expect(step.value.peers[0]?.sas).toHaveLength(SAS - 1);
      break;
    }
    if (++interruptions === 1) core.table.replace(SAS, undefined);
  }
  expect(interruptions).toBeGreaterThan(SAS / 64);
});

test("a report hands each IKE SA of a peer to who wants to take it, and keeps none", () => {
  const core = busyCore("established");
  core.table.replace(SAS, { ...core.table.get(SAS), peer: undefined } as IkeSa);
  const serials: number[] = [];
  const steps = engineStatus(core, (sa) => serials.push(sa.serial));
  let step = steps.next();
  while (!step.done) step = steps.next();
  expect(serials).toEqual(Array.from({ length: SAS - 1 }, (_, i) => i + 1));
  expect(step.value.peers[0]?.sas).toEqual([]);
  expect(step.value.unknown).toHaveLength(1);
});

test("a peer stands by an established IKE SA, not by one that is made or goes, or whose end is decided", () => {
  expect(stands(busyCore("established"), "p")).toBe(true);
  for (const phase of ["init", "auth", "rekeyed", "deleting"] as const)
    expect(stands(busyCore(phase), "p")).toBe(false);
  expect(stands(busyCore("established"), "q")).toBe(false);
  const core = busyCore("established");
  for (let serial = 1; serial <= SAS; serial++) core.backlog.add(serial, { do: "end", reason: "deleted-locally" });
  expect(stands(core, "p")).toBe(false);
});
