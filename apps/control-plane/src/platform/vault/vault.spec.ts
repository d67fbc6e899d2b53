import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { seal, unseal } from "./envelope.js";
import { Vault } from "./vault.js";

const key = () => randomBytes(32).toString("base64");
const none = { masterKey: undefined, masterKeyFile: undefined };

describe("envelope", () => {
  const master = randomBytes(32);

  test("opens what it sealed, in its place only", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), fc.string(), (plain, place, other) => {
        const sealed = seal(master, place, plain);
        expect(Uint8Array.from(unseal(master, place, sealed))).toEqual(plain);
        if (place !== other) expect(() => unseal(master, other, sealed)).toThrow(/another place/);
      }),
    );
  });

  test("opens nothing that was changed, cut or sealed with another key", () => {
    const sealed = seal(master, "place", Buffer.from("secret"));
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
        const changed = Uint8Array.from(sealed);
        changed[at] = (changed[at] ?? 0) ^ bits;
        expect(() => unseal(master, "place", changed)).toThrow();
        expect(() => unseal(master, "place", sealed.subarray(0, at))).toThrow();
      }),
    );
    expect(() => unseal(randomBytes(32), "place", sealed)).toThrow(/another key/);
  });

  test("never gives the same octets twice", () => {
    expect(seal(master, "p", Buffer.from("x"))).not.toEqual(seal(master, "p", Buffer.from("x")));
  });
});

describe("vault", () => {
  test("seals with the first master key and opens with any", () => {
    const [old, next] = [key(), key()];
    const before = new Vault(old);
    const sealed = before.seal("secret/1", "hunter2");
    const after = new Vault(`${next}\n${old}\n`);
    expect(after.unseal("secret/1", sealed).toString()).toBe("hunter2");
    expect(after.seal("secret/1", "x").keyId).toBe(new Vault(next).seal("secret/1", "x").keyId);
    expect(() => new Vault(next).unseal("secret/1", sealed)).toThrow(/not configured/);
  });

  test("hashes differ between master keys", () => {
    const [a, b] = [new Vault(key()), new Vault(key())];
    expect(a.hash("x")).toBe(a.hash("x"));
    expect(a.hash("x")).not.toBe(b.hash("x"));
  });

  test.each(["", "c2hvcnQ=", `${randomBytes(31).toString("base64")}`, "not base64 at all!"])(
    "refuses %j as a key, without showing it",
    (text) => {
      expect(() => new Vault(text)).toThrow(
        expect.objectContaining({ code: "platform/bad-configuration", field: "SALLYPORT_MASTER_KEY" }),
      );
      if (text.length > 3) expect(() => new Vault(text)).not.toThrow(text);
    },
  );

  test("makes a key file of its own once, for its owner alone", async () => {
    const home = await mkdtemp(path.join(os.tmpdir(), "sallyport-vault-"));
    const [a, b] = await Promise.all([Vault.open({ ...none, home }), Vault.open({ ...none, home })]);
    expect(b.unseal("x", a.seal("x", "y")).toString()).toBe("y");
    expect((await stat(path.join(home, "master.key"))).mode & 0o777).toBe(0o600);
    const copy = path.join(home, "copy");
    await writeFile(copy, await readFile(path.join(home, "master.key")));
    const same = await Vault.open({ ...none, masterKeyFile: copy, home });
    expect(same.seal("x", "y").keyId).toBe(a.seal("x", "y").keyId);
    await expect(Vault.open({ ...none, masterKeyFile: path.join(home, "none"), home })).rejects.toMatchObject({
      field: "SALLYPORT_MASTER_KEY_FILE",
    });
    await rm(home, { recursive: true });
  });
});
