import { Gate } from "./gate.js";

describe("a gate", () => {
  it("lets so many run at a time, in their order, whether they fail or not", async () => {
    const gate = new Gate(2);
    const began: number[] = [];
    const ends: ((failed: boolean) => void)[] = [];
    const runs = [0, 1, 2, 3].map((i) =>
      gate
        .run(async () => {
          began.push(i);
          if (await new Promise<boolean>((resolve) => ends.push(resolve))) throw new Error(`failed ${i}`);
          return i;
        })
        .catch((error: Error) => error.message),
    );
    await new Promise(setImmediate);
    expect(began).toEqual([0, 1]);
    for (const [n, failed] of [true, false, false, true].entries()) {
      ends[n]?.(failed);
      await new Promise(setImmediate);
      expect(began).toHaveLength(Math.min(4, n + 3));
    }
    expect(await Promise.all(runs)).toEqual(["failed 0", 1, 2, "failed 3"]);
    expect(await gate.run(async () => "again")).toBe("again");
  });
});
