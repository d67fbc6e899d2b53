import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RevocationsSchema } from "@sallyport/contract";
import type { Revocation } from "../../platform/prisma/generated/client.js";
import type { RegisterPart } from "../revocations/revocation.service.js";
import { readOnce, ToldRevocations } from "./told-revocations.js";

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
  const read = async (_: string, after: number): Promise<RegisterPart> => {
    reads++;
    const all = register.filter((r) => r.number > after);
    const entries = all.slice(0, 2);
    const more = all.length > 2;
    const upTo = (more ? entries : register).at(-1)?.number ?? 0;
    return { entries, upTo, anew: after === 0, more };
  };
  const sent: MessageInitShape<typeof RevocationsSchema>[] = [];
  const told = new ToldRevocations(from, "o", (message) => sent.push(message));
  const numbers = () => sent.splice(0).map((m) => [...(m.revocations ?? []).map((r) => r.number), m.more && "more"]);
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
});
