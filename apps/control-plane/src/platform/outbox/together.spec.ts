import { Together } from "./together.js";

function set() {
  const together = new Together();
  const gates: PromiseWithResolvers<void>[] = [];
  const work = () => {
    const gate = Promise.withResolvers<void>();
    gates.push(gate);
    return gate.promise;
  };
  return { gates, run: (key: string) => together.run(key, work) };
}
const settled = () => new Promise(setImmediate);

describe("runs that never overlap", () => {
  it("are one that runs and one that waits, which serves all who ask meanwhile", async () => {
    const { gates, run } = set();
    const first = run("a");
    await settled();
    const second = run("a");
    expect([run("a"), run("a")]).toEqual([undefined, undefined]);
    await settled();
    expect(gates).toHaveLength(1);
    gates[0]?.resolve();
    await first;
    await settled();
    expect(gates).toHaveLength(2);
    gates[1]?.resolve();
    await second;
    expect(gates).toHaveLength(2);
  });

  it("know nothing of other keys, and a failure is the business of the one that failed", async () => {
    const { gates, run } = set();
    const first = run("a");
    const other = run("b");
    await settled();
    expect(gates).toHaveLength(2);
    const next = run("a");
    gates[0]?.reject(new Error("away"));
    await expect(first).rejects.toThrow("away");
    await settled();
    gates[1]?.resolve();
    gates[2]?.resolve();
    await Promise.all([next, other]);
    const again = run("a");
    await settled();
    expect(gates).toHaveLength(4);
    gates[3]?.resolve();
    await again;
  });
});
