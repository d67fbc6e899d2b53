import { childOf, configOf, ESP_PROPOSAL, peerOf } from "./configs.js";
import type { SimPeer } from "./sim-peer.js";
import { pair } from "./simulation.js";

/** Every shared secret and private value that an engine was given. */
function secretsOf(peer: SimPeer): Uint8Array[] {
  const secrets: Uint8Array[] = [];
  const handle = peer.handle.bind(peer);
  peer.handle = (input) => {
    if (input.on === "crypto-done") {
      if ("shared" in input.result) secrets.push(input.result.shared);
      if ("pair" in input.result) secrets.push(input.result.pair.privateKey);
    }
    handle(input);
  };
  return secrets;
}

test("secrets of exchanges are overwritten once keys are made of them", () => {
  const children = (mine: "a" | "b") => [childOf(mine, { proposals: [{ ...ESP_PROPOSAL, pfs: ["x25519"] }] })];
  const p = pair({ a: configOf(), b: configOf() });
  const secrets = [p.a, p.b].map(secretsOf);
  p.b.configure(configOf(peerOf("b", { children: children("b") })));
  p.a.configure(configOf(peerOf("a", { children: children("a") })));
  p.sim.run(2);
  p.a.command({ command: "rekey-child", peer: "b", child: "net" });
  p.sim.run(2);
  p.b.command({ command: "rekey-ike", peer: "a" });
  p.sim.run(2);
  expect(p.a.of("ike-rekeyed").concat(p.b.of("ike-rekeyed"))).toHaveLength(2);
  // IKE_SA_INIT, CHILD rekey and IKE rekey: a pair and a secret where it began, a secret where it was answered.
  expect(secrets.map((list) => list.length)).toEqual([5, 4]);
  for (const secret of secrets.flat()) expect(secret.some((octet) => octet !== 0)).toBe(false);
});

/** Keys of every SA that an engine hands to its data plane, as the engine has them. */
function keysOf(peer: SimPeer): Uint8Array[] {
  const keys: Uint8Array[] = [];
  peer.dataPlane.refuse = (op) => {
    if (op.op === "installSa") keys.push(op.args[0].encryption.key);
    return undefined;
  };
  return keys;
}

test("keys of CHILD SAs are gone once the data plane has them, or once they will never be wanted", () => {
  const p = pair({ a: configOf(), b: configOf() });
  const keys = [p.a, p.b].map(keysOf);
  p.b.configure(configOf(peerOf("b")));
  p.a.configure(configOf(peerOf("a")));
  p.sim.run(2);
  p.a.command({ command: "rekey-child", peer: "b", child: "net" });
  p.sim.run(30);
  expect(keys.map((list) => list.length)).toEqual([4, 4]);
  for (const key of keys.flat()) expect(key.every((octet) => octet === 0)).toBe(true);
  for (const { dataPlane } of [p.a, p.b]) {
    for (const sa of dataPlane.sas.values()) expect(sa.encryption.key.every((octet) => octet === 0)).toBe(false);
  }
});
