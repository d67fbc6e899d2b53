import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { emptyIntent, serializeIntent } from "@sallyport/intent";
import fc from "fast-check";
import { replaceFile } from "./atomic-file.js";
import { type Enrolment, EnrolmentStore, IntentStore } from "./index.js";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "sallyport-state-"));
});
afterEach(() => rm(directory, { recursive: true }));

const body = (revision: number) => {
  const intent = { ...emptyIntent({ id: "g", name: "gw", siteId: "s", fqdn: "gw.acme" }), revision };
  return Buffer.from(serializeIntent(intent));
};

describe("the last good intent", () => {
  it("is what was saved last, readable for its owner alone", async () => {
    const store = new IntentStore(directory);
    expect(await store.load()).toEqual({ intent: undefined, damage: [] });
    for (const revision of [1, 2, 3]) await store.save(body(revision));
    expect((await store.load()).intent?.revision).toBe(3);
    expect((await readdir(directory)).toSorted()).toEqual(["intent.json", "intent.previous.json"]);
    for (const file of await readdir(directory))
      expect((await stat(path.join(directory, file))).mode & 0o777).toBe(0o600);
  });

  it("is the one before when the file is damaged anywhere, cut anywhere, or gone", async () => {
    const store = new IntentStore(directory);
    await store.save(body(1));
    await store.save(body(2));
    const file = path.join(directory, "intent.json");
    const sound = await readFile(file);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(sound.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        async (at, flip, cut) => {
          const bad = Buffer.from(sound);
          bad[at] = (bad[at] as number) ^ flip;
          await writeFile(file, cut ? sound.subarray(0, at) : bad);
          const { intent, damage } = await store.load();
          expect(intent?.revision).toBe(1);
          expect(damage).toEqual([expect.objectContaining({ code: "state/damaged", field: file })]);
        },
      ),
      { numRuns: 60 },
    );
    await rm(file);
    expect(await store.load()).toMatchObject({ intent: { revision: 1 }, damage: [] });
  });

  it("of two generations survives a save over a damaged file", async () => {
    const store = new IntentStore(directory);
    await store.save(body(1));
    await store.save(body(2));
    await writeFile(path.join(directory, "intent.json"), "junk");
    await store.save(body(3));
    await writeFile(path.join(directory, "intent.json"), "junk");
    expect((await store.load()).intent?.revision).toBe(1);
  });

  it("is nothing when both are damaged, with both reasons", async () => {
    const store = new IntentStore(directory);
    await store.save(body(1));
    await store.save(body(2));
    for (const file of await readdir(directory)) await writeFile(path.join(directory, file), "junk");
    const { intent, damage } = await store.load();
    expect(intent).toBeUndefined();
    expect(damage).toHaveLength(2);
  });
});

describe("replacing a file", () => {
  it("leaves the old content when the new one cannot be written", async () => {
    const file = path.join(directory, "f");
    await replaceFile(file, "old");
    await expect(replaceFile(path.join(directory, "no/such/folder"), "x")).rejects.toMatchObject({
      code: "state/unwritable",
    });
    // What a crash in the middle left behind is no hindrance.
    await writeFile(`${file}.tmp`, "half");
    await replaceFile(file, "new");
    expect(await readFile(file, "utf8")).toBe("new");
    expect(await readdir(directory)).toEqual(["f"]);
  });
});

describe("the enrolment", () => {
  const pem = "-----BEGIN X-----\n";
  const pair = { privateKey: pem, certificates: pem };
  const enrolment: Enrolment = {
    format: 1,
    gatewayId: "g",
    gatewayName: "gw",
    identity: "gw.acme",
    urls: ["https://192.0.2.1:8421"],
    controlCa: pem,
    control: pair,
    identities: [pair],
  };

  it("round-trips", async () => {
    const store = new EnrolmentStore(path.join(directory, "deep/er"));
    expect(await store.load()).toBeUndefined();
    await store.save(enrolment);
    expect(await store.load()).toEqual(enrolment);
  });

  it("that is damaged is told so without what is in it", async () => {
    const store = new EnrolmentStore(directory);
    for (const content of [
      "{",
      JSON.stringify({ ...enrolment, urls: ["http://secret"] }),
      JSON.stringify({ ...enrolment, control: "hunter2" }),
    ]) {
      await writeFile(store.file, content);
      const error = await store.load().catch((e: unknown) => e);
      expect(error).toMatchObject({ code: "state/damaged", field: store.file });
      expect(`${error} ${JSON.stringify(error)} ${(error as Error).cause}`).not.toMatch(/secret|hunter2/);
    }
  });
});
