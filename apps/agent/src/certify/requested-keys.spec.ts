import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { checkRequest } from "@sallyport/pki";
import { keyName, RequestedKeys } from "./requested-keys.js";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "sallyport-keys-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const NONE: ReadonlySet<string> = new Set();
const wish = (id: string, more: object = {}) => ({
  ...{ id, names: ["vpn.example.org", "gw.example.org"], keyType: "ecdsa-p256" },
  ...more,
});

it("makes a key for a request, the same for the same id, and finds it after a restart", async () => {
  const keys = new RequestedKeys(directory);
  const request = checkRequest(await keys.request(wish("a"), NONE));
  expect(request.names.dns).toEqual(["vpn.example.org", "gw.example.org"]);
  expect(request.subject.text).toBe("CN=vpn.example.org");
  expect(checkRequest(await keys.request(wish("a"), NONE)).spki).toEqual(request.spki);
  expect(checkRequest(await keys.request(wish("b"), NONE)).spki).not.toEqual(request.spki);
  const again = new RequestedKeys(directory);
  await again.load();
  expect(again.find(request.spki)?.type).toBe("private");
  expect(again.find(Uint8Array.of(1))).toBeUndefined();
  expect((await stat(path.join(directory, "requested-keys.json"))).mode & 0o777).toBe(0o600);
});

it("gives a long name as subjectAltName alone", async () => {
  const name = `${"a".repeat(60)}.example.org`;
  const { names, subject } = checkRequest(
    await new RequestedKeys(directory).request(wish("a", { names: [name] }), NONE),
  );
  expect([subject.text, names.dns]).toEqual(["", [name]]);
});

it("forgets the oldest keys, but never one that is in use", async () => {
  const keys = new RequestedKeys(directory);
  const used = checkRequest(await keys.request(wish("used"), NONE)).spki;
  const first = checkRequest(await keys.request(wish("first"), NONE)).spki;
  const inUse = new Set([keyName(used)]);
  for (let i = 0; i < 8; i++) await keys.request(wish(`later-${i}`), inUse);
  expect(keys.find(used)).toBeDefined();
  expect(keys.find(first)).toBeUndefined();
  const { keys: stored } = JSON.parse(await readFile(path.join(directory, "requested-keys.json"), "utf8"));
  expect(stored).toHaveLength(9);
});

it.each([
  ["names", { names: [] }],
  ["names", { names: ["not a name"] }],
  ["keyType", { keyType: "ed25519" }],
  ["id", { id: "" }],
])("refuses a request whose %s makes no sense", (field, bad) => {
  expect(() => new RequestedKeys(directory).request(wish("a", bad), NONE)).toThrow(
    expect.objectContaining({ code: "certify/bad-request", field }),
  );
});

it("says that its file is damaged without quoting it", async () => {
  await writeFile(path.join(directory, "requested-keys.json"), '{"keys": ["-----BEGIN SECRET');
  const failure = await new RequestedKeys(directory).load().catch((error: unknown) => error as Error);
  expect(failure).toMatchObject({ code: "state/damaged" });
  expect(String(failure)).not.toContain("SECRET");
});
