import { expect, test } from "@jest/globals";
import { readIdentity } from "../intents/fleet.store.js";
import { identityText, parseIdentity } from "./identity.js";

test.each([
  ["203.0.113.9", "address:203.0.113.9"],
  ["2001:DB8::1", "address:2001:db8::1"],
  ["GW.Example.org", "fqdn:gw.example.org"],
  ["@Gateway", "fqdn:gateway"],
  ["me@example.org", "email:me@example.org"],
  ["key 17", "key-id:key 17"],
])("%s is %s, and comes back as it went in", (text, stored) => {
  const identity = parseIdentity(text, "id");
  expect(identityText(identity)).toBe(stored);
  expect(readIdentity(stored)).toEqual(identity);
});

test.each(["", "@not a name", "a\u0000b", "x".repeat(300)])("%j is no identity", (text) => {
  expect(() => parseIdentity(text, "id")).toThrow(expect.objectContaining({ code: "api/bad-input", field: "id" }));
});
