import { describe, expect, test } from "@jest/globals";
import type { GatewayIntent } from "@sallyport/intent";
import { SEALED_TABLES } from "../master-key/sealed-tables.js";
import { trusts } from "./gateway-certificate.saga.js";
import { tableId } from "./master-key.saga.js";
import { verdict } from "./reported-sas.js";

describe("what reported SAs prove", () => {
  const sa = (state: string, keyId: string | null) => ({ state, keyId });

  test.each([
    ["one that carries traffic", [sa("established", "new")], "proven"],
    ["one beside another on its way out, both on the new", [sa("rekeyed", "new"), sa("rekeying", "new")], "proven"],
    ["one on the old beside it", [sa("established", "new"), sa("established", "old")], "other"],
    ["one on the old beside it, which is on its way out", [sa("established", "new"), sa("rekeyed", "old")], "settling"],
    ["one on the old on its way out alone", [sa("rekeyed", "old")], "other"],
    ["a deleted one on the old beside it", [sa("established", "new"), sa("deleting", "old")], "proven"],
    ["a deleted one on the new alone", [sa("deleting", "new")], "none"],
    ["one on the old alone", [sa("established", "old")], "other"],
    ["one that is not authenticated yet", [sa("connecting", null)], "none"],
    ["one on its way in beside it", [sa("established", "new"), sa("connecting", null)], "proven"],
    ["none", [], "none"],
  ])("%s", (_, sas, expected) => {
    expect(verdict(sas, "new")).toBe(expected);
  });
});

test("a connection takes certificates below roots that it trusts all of", () => {
  const peer = (more: object) => ({ connections: [{ id: "tun", peer: more }] }) as unknown as GatewayIntent;
  const byAnchors = peer({ method: "certificate", trustAnchorIds: ["old", "new"] });
  expect(trusts(byAnchors, "tun", ["old", "new"])).toBe(true);
  expect(trusts(byAnchors, "tun", ["third"])).toBe(false);
  expect(trusts(byAnchors, "another", [])).toBe(false);
  expect(trusts(peer({ method: "psk" }), "tun", [])).toBe(false);
});

test("a table that is to be sealed under a key has a UUID of its own", () => {
  const ids = SEALED_TABLES.flatMap((table) => ["a", "b"].map((keyId) => tableId(table, keyId)));
  expect(new Set(ids).size).toBe(2 * SEALED_TABLES.length);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
});
