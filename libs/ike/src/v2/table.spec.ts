import type { IkeSa } from "./sa.js";
import { SaTable } from "./table.js";

test("the keys of an IKE SA that is gone are overwritten, and not before", () => {
  const table = new SaTable();
  const d = new Uint8Array(32).fill(7);
  let wiped = 0;
  const protector = { wipe: () => wiped++ };
  const empty = { children: [], waits: [], partials: [], asking: [] };
  const sa = { ...empty, serial: 1, initiator: true, spiI: 5n, phase: "established", protector, keys: { d } };
  table.replace(1, sa as unknown as IkeSa);
  table.replace(1, { ...sa, spiR: 6n } as unknown as IkeSa);
  expect([wiped, d[0]]).toEqual([0, 7]);
  table.replace(1, undefined);
  expect([wiped, d.every((octet) => octet === 0)]).toEqual([1, true]);
  expect([table.size, table.bySpi(5n)]).toEqual([0, undefined]);
});
