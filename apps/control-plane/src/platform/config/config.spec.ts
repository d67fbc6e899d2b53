import { describe, expect, test } from "@jest/globals";
import { readConfig } from "./config.js";

describe("readConfig", () => {
  test("needs nothing", () => {
    const config = readConfig({});
    expect(config).toMatchObject({
      development: false,
      databaseUrl: undefined,
      redisUrl: undefined,
      listen: { host: "127.0.0.1", port: 8420 },
      agentsListen: { host: "0.0.0.0", port: 8421 },
      agentsUrls: [],
      logLevel: "info",
    });
    expect([...config.roles]).toEqual(["api", "agents", "jobs"]);
    expect(config.home.endsWith("/.sallyport")).toBe(true);
    expect(config.migrations.endsWith("/prisma/migrations")).toBe(true);
  });

  test("reads what is given", () => {
    expect(
      readConfig({
        SALLYPORT_LISTEN: "[::1]:80",
        SALLYPORT_ROLES: "jobs, api",
        SALLYPORT_AGENTS_URLS: "https://a.example:1,https://b.example",
        SALLYPORT_DEVELOPMENT: "1",
        REDIS_URL: "unix:///run/redis.sock",
        DATABASE_URL: "postgresql://u:p@h/d",
        SALLYPORT_MASTER_KEY_FILE: "/run/key",
        SALLYPORT_PKCS11_MODULE: "/usr/lib/softhsm/libsofthsm2.so",
        SALLYPORT_PKCS11_TOKEN: "acme",
        SALLYPORT_PKCS11_PIN_FILE: "/run/pin",
      }),
    ).toMatchObject({
      listen: { host: "::1", port: 80 },
      roles: new Set(["jobs", "api"]),
      agentsUrls: ["https://a.example:1", "https://b.example"],
      development: true,
      pkcs11: { module: "/usr/lib/softhsm/libsofthsm2.so", token: "acme", pinFile: "/run/pin" },
    });
  });

  test.each([
    [{ SALLYPORT_LISTEN: "8420" }, "SALLYPORT_LISTEN", "8420"],
    [{ SALLYPORT_LISTEN: "localhost:99999" }, "SALLYPORT_LISTEN", "localhost:99999"],
    [{ SALLYPORT_ROLES: "api,cook" }, "SALLYPORT_ROLES", "api,cook"],
    [{ SALLYPORT_ROLES: " , " }, "SALLYPORT_ROLES", " , "],
    [{ SALLYPORT_AGENTS_URLS: "http://a" }, "SALLYPORT_AGENTS_URLS", "http://a"],
    [{ SALLYPORT_DEVELOPMENT: "yes" }, "SALLYPORT_DEVELOPMENT", "yes"],
    [{ SALLYPORT_SA_LIMIT: "0" }, "SALLYPORT_SA_LIMIT", "0"],
    [{ SALLYPORT_WEBHOOK_NETWORKS: "10.0.0.0/8,here" }, "SALLYPORT_WEBHOOK_NETWORKS", "10.0.0.0/8,here"],
    [{ SALLYPORT_HISTORY_RAW_HOURS: "5" }, "SALLYPORT_HISTORY_RAW_HOURS", "5"],
    [{ SALLYPORT_LOG_LEVEL: "loud" }, "SALLYPORT_LOG_LEVEL", "loud"],
    [{ DATABASE_URL: "mysql://u:geheim@h/d" }, "DATABASE_URL", "***"],
    [{ REDIS_URL: "geheim" }, "REDIS_URL", "***"],
    [{ SALLYPORT_PKCS11_MODULE: "/m.so", SALLYPORT_PKCS11_TOKEN: "t" }, "SALLYPORT_PKCS11_PIN_FILE", undefined],
    [
      { SALLYPORT_PKCS11_TOKEN: "a label that is longer than any may be" },
      "SALLYPORT_PKCS11_TOKEN",
      "a label that is longer than any may be",
    ],
    [{ DATABASE_URL: "postgresql://h/d" }, "SALLYPORT_MASTER_KEY_FILE", undefined],
    [{ SALLYPORT_MASTER_KEY: "a", SALLYPORT_MASTER_KEY_FILE: "b" }, "SALLYPORT_MASTER_KEY_FILE", undefined],
  ])("refuses %j, naming the variable", (environment, field, value) => {
    const refusal = expect.objectContaining({
      code: "platform/bad-configuration",
      field,
      value,
      expected: expect.any(String),
    });
    expect(() => readConfig(environment)).toThrow(refusal);
  });
});
