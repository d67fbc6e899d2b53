import { describe, expect, test } from "@jest/globals";
import { checkHost, checkName, checkSubnets, checkUuid, labelOf } from "./input.js";

describe("input", () => {
  test("names are trimmed and composed", () => {
    expect(checkName("  Wien-Nord ", "name")).toBe("Wien-Nord");
    expect(checkName("Zu\u0308rich", "name")).toBe("Zürich");
    for (const bad of ["", "   ", "a\u0000b", "a\u202eb", "x".repeat(64)]) {
      expect(() => checkName(bad, "name")).toThrow(expect.objectContaining({ code: "api/bad-input", field: "name" }));
    }
  });

  test.each([
    ["Wien Nord", "wien-nord"],
    ["Zürich", "zurich"],
    ["--A__b--", "a-b"],
    ["x".repeat(60), "x".repeat(40)],
  ])("the label of %s is %s", (name, label) => {
    expect(labelOf(name, "name")).toBe(label);
  });

  test("a name without a letter or digit has no label", () => {
    expect(() => labelOf("東京", "name")).toThrow(expect.objectContaining({ field: "name" }));
  });

  test("subnets are canonical and apart from each other", () => {
    expect(checkSubnets(["10.1.0.0/16", "2001:DB8::/32", "192.0.2.1"], "s").map(String)).toEqual([
      "10.1.0.0/16",
      "2001:db8::/32",
      "192.0.2.1/32",
    ]);
    expect(() => checkSubnets(["10.0.0.0/8", "10.1.0.0/16"], "s")).toThrow(
      expect.objectContaining({ field: "s[1]", expected: "a prefix that does not overlap 10.0.0.0/8" }),
    );
    expect(() => checkSubnets(["0.0.0.0/0"], "s")).toThrow(expect.objectContaining({ field: "s[0]" }));
    expect(() => checkSubnets(["10.0.0.0/33"], "s")).toThrow(
      expect.objectContaining({ field: "s[0]", code: "base/bad-prefix" }),
    );
  });

  test("hosts are addresses or names", () => {
    expect(checkHost("GW.Example.ORG", "h")).toBe("gw.example.org");
    expect(checkHost("2001:DB8::1", "h")).toBe("2001:db8::1");
    for (const bad of ["300.1.1.1", "a b", "-a.example", "fe80::1%eth0"])
      expect(() => checkHost(bad, "h")).toThrow(expect.objectContaining({ field: "h" }));
  });

  test("ids are UUIDs", () => {
    expect(checkUuid("01920000-0000-7000-8000-00000000BEEF", "id")).toBe("01920000-0000-7000-8000-00000000beef");
    expect(() => checkUuid("1; DROP TABLE sites", "id")).toThrow(expect.objectContaining({ field: "id" }));
  });
});
