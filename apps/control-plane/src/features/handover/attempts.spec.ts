import { describe, expect, it } from "@jest/globals";
import { Attempts, sourceOf } from "./attempts.js";

const refused = (attempt: () => void) => {
  try {
    attempt();
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe("attempts", () => {
  it("are counted by link and by source, for a minute", () => {
    const attempts = new Attempts();
    for (let i = 0; i < 60; i++) attempts.admit("link", "a", 1000 + i);
    expect(refused(() => attempts.admit("link", "a", 2000))).toBe("api/too-many-attempts");
    expect(refused(() => attempts.admit("link", "b", 2000))).toBeUndefined();
    expect(refused(() => attempts.admit("source", "a", 2000))).toBeUndefined();
    expect(refused(() => attempts.admit("link", "a", 61_001))).toBeUndefined();
  });

  it("that miss shut a source out", () => {
    const attempts = new Attempts();
    for (let i = 0; i < 10; i++) attempts.missed("a", 1000);
    expect(refused(() => attempts.admitGuess("a", 2000))).toBe("api/too-many-attempts");
    expect(refused(() => attempts.admitGuess("b", 2000))).toBeUndefined();
    expect(refused(() => attempts.admitGuess("a", 61_001))).toBeUndefined();
  });

  it("that are refused are worth ten entries of the audit log an hour", () => {
    const attempts = new Attempts();
    const news = (link: string, now: number) => Array.from({ length: 12 }, () => attempts.isNews(link, now));
    expect(news("a", 1000).filter(Boolean)).toHaveLength(10);
    expect(attempts.isNews("b", 1000)).toBe(true);
    expect(attempts.isNews("a", 100_000)).toBe(false);
    expect(news("a", 3_700_000).filter(Boolean)).toHaveLength(10);
  });

  it("of more sources than it keeps do not make it grow, nor forget who came last", () => {
    const attempts = new Attempts();
    for (let i = 0; i < 30_000; i++) attempts.admit("source", `s${i}`, 1000);
    for (let i = 0; i < 10; i++) attempts.missed("last", 1000);
    for (let i = 0; i < 10_000; i++) attempts.admit("source", `t${i}`, 1000);
    expect(refused(() => attempts.admitGuess("last", 1000))).toBe("api/too-many-attempts");
  });

  it.each([
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "::ffff:192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8:1:2:9:9:9:9", "2001:db8:1:2"],
  ])("of %s are those of %s", (address, source) => expect(sourceOf(address)).toBe(source));
});
