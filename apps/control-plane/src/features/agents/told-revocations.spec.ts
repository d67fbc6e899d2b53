import type { Revocations } from "@sallyport/contract";
import type { Revocation } from "../../platform/prisma/generated/client.js";
import { inTurns, type ReadRegister, readOnce, readTogether, ToldRevocations, toldPart } from "./told-revocations.js";

const row = (number: number): Revocation => ({
  id: `r${number}`,
  organizationId: "o",
  number,
  kind: number % 2 === 0 ? "PERSON" : "CERTIFICATE",
  subjectId: "s",
  key: number % 2 === 0 ? "alice" : "ab".repeat(32),
  name: "x",
  lifted: false,
  notAfter: null,
  at: new Date(0),
});

function set(from: number) {
  const register: Revocation[] = [];
  let reads = 0;
  const read: ReadRegister = async (_, after) => {
    reads++;
    const all = register.filter((r) => r.number > after);
    const entries = all.slice(0, 2);
    const more = all.length > 2;
    const upTo = (more ? entries : register).at(-1)?.number ?? 0;
    return toldPart({ entries, upTo, anew: after === 0, more });
  };
  const sent: Revocations[] = [];
  const told = new ToldRevocations(from, "o", ({ body }) => {
    if (body.case === "revocations") sent.push(body.value);
  });
  const numbers = () => sent.splice(0).map((m) => [...m.revocations.map((r) => r.number), m.more && "more"]);
  return { register, read, told, sent, numbers, reads: () => reads };
}

describe("what an agent is told of revocations", () => {
  it("is at first that there are none, and then only what is new", async () => {
    const { register, read, told, numbers } = set(0);
    await told.tell(read);
    expect(numbers()).toEqual([[false]]);
    await told.tell(read);
    expect(numbers()).toEqual([]);
    register.push(row(1));
    await Promise.all([told.tell(read), told.tell(read)]);
    expect(numbers()).toEqual([[1, false]]);
  });

  it("comes in parts when it missed much", async () => {
    const { register, read, told, numbers } = set(1);
    register.push(...[1, 2, 3, 4, 5, 6].map(row));
    await told.tell(read);
    expect(numbers()).toEqual([
      [2, 3, "more"],
      [4, 5, "more"],
      [6, false],
    ]);
  });

  it("is told after a failed attempt by the next one", async () => {
    const { register, read, told, sent } = set(0);
    register.push(row(1), row(2));
    await expect(told.tell(() => Promise.reject(new Error("away")))).rejects.toThrow("away");
    await told.tell(read);
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({
      anew: true,
      upTo: 2,
      revocations: [
        { subject: { case: "certificate", value: { fingerprint: new Uint8Array(32).fill(0xab), subject: "x" } } },
        { subject: { case: "person", value: { username: "alice" } } },
      ],
    });
  });

  it("is read once for a thousand agents that stand at the same number", async () => {
    const { register, read, reads } = set(0);
    register.push(row(1));
    const once = readOnce(read);
    const agents = Array.from({ length: 1_000 }, () => set(0).told);
    await Promise.all(agents.map((agent) => agent.tell(once)));
    expect(reads()).toBe(1);
  });

  it("is sent by one agent's stream after the other, as each has its turn", async () => {
    const { register, read } = set(0);
    register.push(row(1));
    const waiting: (() => void)[] = [];
    const paced = inTurns(readOnce(read), { next: () => new Promise((resolve) => waiting.push(resolve)) });
    const agents = Array.from({ length: 3 }, () => set(0));
    const telling = agents.map(({ told }) => told.tell(paced));
    await new Promise(setImmediate);
    for (let n = 0; n <= 3; n++) {
      expect(agents.map(({ sent }) => sent.length)).toEqual([0, 1, 2].map((i) => (i < n ? 1 : 0)));
      waiting[n]?.();
      await new Promise(setImmediate);
    }
    await Promise.all(telling);
  });

  it("is read by one read for all who come while another runs, which began before them", async () => {
    const { register, read } = set(0);
    const open: (() => void)[] = [];
    const together = readTogether(async (organization, after) => {
      const part = await read(organization, after);
      await new Promise<void>((resolve) => open.push(resolve));
      return part;
    });
    const upTo: number[] = [];
    const ask = async () => void upTo.push((await together("o", 0)).upTo);
    const first = ask();
    await new Promise(setImmediate);
    register.push(row(1));
    const others = [ask(), ask(), ask()];
    for (let i = 0; i < 2; i++) {
      await new Promise(setImmediate);
      expect(open).toHaveLength(1);
      open.shift()?.();
    }
    await Promise.all([first, ...others]);
    expect(upTo).toEqual([0, 1, 1, 1]);
    const last = ask();
    await new Promise(setImmediate);
    open.shift()?.();
    await last;
    expect(upTo).toHaveLength(5);
  });

  it("is asked for again by the next one when a read has failed", async () => {
    const { register, read } = set(0);
    register.push(row(1));
    let away = true;
    const together = readTogether((...asked) => (away ? Promise.reject(new Error("away")) : read(...asked)));
    await expect(together("o", 0)).rejects.toThrow("away");
    away = false;
    expect((await together("o", 0)).upTo).toBe(1);
  });
});
