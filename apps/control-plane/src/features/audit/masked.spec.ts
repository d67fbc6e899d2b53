import { expect, test } from "@jest/globals";
import { isSecretName, masked } from "./audit.service.js";

test("secrets are masked by their names, however deep; the rest becomes JSON", () => {
  const at = new Date("2026-01-01T00:00:00Z");
  const value = {
    name: "x",
    preSharedKey: "1234",
    nested: [{ token: "abc", passwordHash: "h", sealed: Uint8Array.of(1), n: 7n, at, gone: undefined }],
    mustChangePassword: true,
    secretId: null,
  };
  expect(masked(value)).toEqual({
    name: "x",
    preSharedKey: "***",
    nested: [{ token: "***", passwordHash: "***", sealed: "***", n: "7", at: "2026-01-01T00:00:00.000Z" }],
    mustChangePassword: true,
    secretId: null,
  });
});

test.each([
  ["input.passphrase", true],
  ["input.certificate.privateKey", true],
  ["input.names[0]", false],
])("of a refusal for %s the value is kept back: %s", (field, secret) => expect(isSecretName(field)).toBe(secret));
