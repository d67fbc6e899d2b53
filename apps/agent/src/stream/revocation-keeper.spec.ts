import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { RevocationsSchema } from "@sallyport/contract";
import { pino } from "pino";
import { RevocationStore } from "../store/index.js";
import { Reporter } from "./reporter.js";
import { RevocationKeeper, type Verdict } from "./revocation-keeper.js";

const log = pino({ level: "silent" });
const LATER = Date.now() + 30 * 86_400_000;
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "sallyport-revocations-"));
});
afterEach(() => rm(directory, { recursive: true }));

type Entry = NonNullable<MessageInitShape<typeof RevocationsSchema>["revocations"]>[number];

const person = (number: number, username: string, lifted = false): Entry => ({
  number,
  lifted,
  subject: { case: "person", value: { username } },
});
const certificate = (number: number, octet: number, notAfter = LATER): Entry => ({
  number,
  subject: {
    case: "certificate",
    value: { fingerprint: new Uint8Array(32).fill(octet), subject: "CN=x", notAfter: timestampFromMs(notAfter) },
  },
});
const part = (upTo: number, revocations: Entry[], over: MessageInitShape<typeof RevocationsSchema> = {}) =>
  create(RevocationsSchema, { upTo, revocations, ...over });

function gateway(patienceMs = 60_000) {
  const reporter = new Reporter();
  const steps: string[] = [];
  const behaviour: { apply?: (verdicts: readonly Verdict[]) => Promise<void> | void } = {};
  const name = ({ number, lifted, refusal }: Verdict) =>
    `${lifted ? "admit" : "refuse"} ${refusal.kind === "person" ? refusal.username : refusal.fingerprint.slice(0, 2)} ${number}`;
  const keeper = new RevocationKeeper({
    store: new RevocationStore(directory),
    reporter,
    log,
    patienceMs,
    apply: async (verdicts) => {
      await behaviour.apply?.(verdicts);
      steps.push(...verdicts.map(name));
      return new Map(verdicts.map(({ number }) => [number, 2]));
    },
  });
  const told = () => {
    const { body } = reporter.next() ?? { body: undefined };
    if (body?.case !== "revocationsApplied") return body?.case;
    const { upTo, applied } = body.value;
    return { upTo, applied: applied.map(({ number, endedSas }) => [number, endedSas]) };
  };
  const heard = async () => {
    let done = false;
    void keeper.heard().then(() => {
      done = true;
    });
    await new Promise(setImmediate);
    return done;
  };
  return { keeper, steps, behaviour, told, heard };
}

describe("what the control plane says", () => {
  it("is applied, written, and only then confirmed with what it ended", async () => {
    const { keeper, steps, told, behaviour } = gateway();
    const file = path.join(directory, "revocations.json");
    let onDisk: string | undefined;
    behaviour.apply = async () => {
      onDisk = await readFile(file, "utf8").catch(() => undefined);
      expect(told()).toBeUndefined();
    };
    await keeper.receive(part(2, [person(1, "Alice@Acme"), certificate(2, 0xab)]));
    expect(onDisk).toBeUndefined();
    expect(await readFile(file, "utf8")).toContain("alice@acme");
    expect(steps).toEqual(["refuse alice@acme 1", "refuse ab 2"]);
    expect(told()).toEqual({
      upTo: 2,
      applied: [
        [1, 2],
        [2, 2],
      ],
    });
    expect(keeper.upTo).toBe(2);
  });

  it("holds again after a restart, but for what was lifted or has expired", async () => {
    const first = gateway();
    const gone = Date.now() - 2 * 86_400_000;
    await first.keeper.receive(
      part(4, [person(1, "alice"), person(2, "bob"), certificate(3, 1, gone), certificate(4, 2)]),
    );
    await first.keeper.receive(part(5, [person(5, "bob", true)]));
    const again = gateway();
    await again.keeper.start();
    expect(again.keeper.upTo).toBe(5);
    expect(again.steps).toEqual(["refuse alice 5", "refuse 02 5"]);
    expect(again.told()).toBeUndefined();
  });

  it("that cannot be applied is neither had nor confirmed", async () => {
    const { keeper, behaviour, told } = gateway();
    behaviour.apply = () => {
      throw new Error("no");
    };
    await expect(keeper.receive(part(1, [person(1, "alice")]))).rejects.toThrow("no");
    expect([keeper.upTo, told()]).toEqual([0, undefined]);
    behaviour.apply = () => {};
    await keeper.receive(part(1, [person(1, "alice")]));
    expect(keeper.upTo).toBe(1);
  });

  it("anew takes the place of everything that was held", async () => {
    const { keeper, steps } = gateway();
    await keeper.receive(part(9, [person(8, "alice"), person(9, "bob")]));
    steps.length = 0;
    await keeper.receive(part(3, [person(3, "bob")], { anew: true }));
    expect(steps).toEqual(["admit alice 0", "refuse bob 3"]);
    expect(keeper.upTo).toBe(3);
  });

  it("of a subject that this version does not know is had and changes nothing", async () => {
    const { keeper, steps, told } = gateway();
    await keeper.receive(part(1, [{ number: 1 }]));
    expect([keeper.upTo, steps]).toEqual([1, []]);
    expect(told()).toEqual({ upTo: 1, applied: [[1, 0]] });
  });
});

describe("a start", () => {
  it("waits for the last part of what it missed", async () => {
    const { keeper, heard } = gateway();
    await keeper.receive(part(1, [person(1, "alice")], { more: true }));
    expect(await heard()).toBe(false);
    await keeper.receive(part(1, []));
    expect(await heard()).toBe(true);
  });

  it("waits for nobody when the control plane is away", async () => {
    const { keeper, heard } = gateway();
    expect(await heard()).toBe(false);
    keeper.away();
    expect(await heard()).toBe(true);
  });

  it("has its patience", async () => {
    const { keeper } = gateway(5);
    await expect(keeper.heard()).resolves.toBeUndefined();
  });

  it("with a damaged register asks for all of it", async () => {
    await gateway().keeper.receive(part(7, [person(7, "alice")]));
    const file = path.join(directory, "revocations.json");
    await writeFile(file, (await readFile(file, "utf8")).replace("alice", "malice"));
    const again = gateway();
    await again.keeper.start();
    expect([again.keeper.upTo, again.steps]).toEqual([0, []]);
  });
});
