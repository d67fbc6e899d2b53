import { describe, expect, test } from "@jest/globals";
import { PERMISSIONS, permissionsOf } from "../../platform/auth/permissions.js";
import { checkNewPassword, hashPassword, oneTimePassword, verifyPassword } from "./password.js";
import { isToken, newToken, tokenHash } from "./token.js";

describe("passwords", () => {
  test("are hashed with argon2id and verified", async () => {
    const stored = await hashPassword("correct horse");
    expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(await verifyPassword(stored, "correct horse")).toBe(true);
    expect(await verifyPassword(stored, "correct horsf")).toBe(false);
    expect(await verifyPassword(undefined, "nobody has this password")).toBe(false);
  });

  test("one-time passwords are unlike each other and easy to read", () => {
    const many = new Set(Array.from({ length: 100 }, oneTimePassword));
    expect(many.size).toBe(100);
    for (const text of many) expect(text).toMatch(/^([a-km-np-z2-9]{5}-){3}[a-km-np-z2-9]{5}$/);
  });

  test("new ones have 12 to 200 characters", () => {
    for (const bad of ["x".repeat(11), "x".repeat(201)])
      expect(() => checkNewPassword(bad, "next")).toThrow(expect.objectContaining({ field: "next" }));
    expect(checkNewPassword("x".repeat(12), "next")).toHaveLength(12);
  });
});

describe("tokens", () => {
  test("are told by their prefix and found by their hash", () => {
    const { text, prefix, hash } = newToken();
    expect(isToken(text)).toBe(true);
    expect(text.startsWith(prefix)).toBe(true);
    expect(tokenHash(text)).toEqual(hash);
    for (const bad of ["", "sp_", `${text}x`, text.slice(3)]) expect(isToken(bad)).toBe(false);
  });
});

describe("permissions", () => {
  test("a token narrows its operator's role and never widens it", () => {
    expect([...permissionsOf("ADMIN", [])]).toEqual([...PERMISSIONS]);
    expect([...permissionsOf("VIEWER", [...PERMISSIONS])].toSorted()).toEqual([
      "fleet:read",
      "lease:read",
      "token:write",
    ]);
    expect([...permissionsOf("OPERATOR", ["operator:write", "site:write", "nonsense"])]).toEqual(["site:write"]);
  });
});
