import { readFileSync } from "node:fs";
import { type Clock, isFault } from "@sallyport/base";
import { readCertificate } from "@sallyport/pki";
import pino from "pino";
import { fault } from "../faults.js";
import { Revocation } from "./revocation.js";
import type { WebRequest } from "./web-fetch.js";

const vectors: Record<string, string> = JSON.parse(
  readFileSync(new URL("../../../../libs/pki/src/vectors/openssl-revocation.json", import.meta.url), "utf8"),
);
const octets = (name: string) => Uint8Array.from(Buffer.from(vectors[name] ?? "", "base64"));
const certificate = (name: string) => readCertificate(octets(name));
const good = [certificate("good"), certificate("ca")];
const bad = [certificate("bad"), certificate("ca")];
const NOW = Date.parse("2026-11-25T00:00:00Z");

/** A clock that a test moves, and places on the web that answer what it says. */
function stage(web: Record<string, () => Uint8Array>) {
  let ms = 0;
  const asked: string[] = [];
  let news = 0;
  const clock: Clock = { now: () => ms, wall: () => NOW + ms };
  const fetch = async ({ uri }: WebRequest) => {
    asked.push(uri);
    const answer = web[uri];
    if (!answer) throw fault("agent/fetch-failed", `${uri}: refused`, { field: "uri", value: "refused" });
    return answer();
  };
  const log = pino({ level: "silent" });
  const revocation = new Revocation({ fetch, clock, log, onNews: () => news++ });
  return { revocation, asked, wait: (more: number) => (ms += more), news: () => news };
}

const CRL = "http://crl.example/ca.crl";
const OCSP = "http://ocsp.example/";

const codeOf = (run: () => void) => {
  try {
    run();
    return "none";
  } catch (error) {
    if (isFault(error)) return error.code;
    throw error;
  }
};

describe("what a gateway learns of revocations", () => {
  it("is asked for once the chain is verified: the responder, then the list", async () => {
    const { revocation, asked } = stage({ [CRL]: () => octets("crl") });
    expect(codeOf(() => revocation.require(good, "strict"))).toBe("pki/revocation-unknown");
    await revocation.learnt(good);
    expect(asked).toEqual([OCSP, CRL]);
    expect(codeOf(() => revocation.require(good, "strict"))).toBe("none");
    expect(codeOf(() => revocation.require(bad, "relaxed"))).toBe("pki/revoked");
  });

  it("is told as news, once it is known", async () => {
    const { revocation, news } = stage({ [CRL]: () => octets("crl") });
    expect(codeOf(() => revocation.require(bad, "relaxed"))).toBe("none");
    await revocation.learnt(bad);
    await revocation.learnt(good);
    expect(news()).toBe(1);
    expect(codeOf(() => revocation.require(bad, "relaxed"))).toBe("pki/revoked");
  });

  it("is asked for a place at a time, and not again before a minute, or half of its life, is over", async () => {
    const { revocation, asked, wait } = stage({ [CRL]: () => octets("crl") });
    await Promise.all([revocation.learnt(good), revocation.learnt(good), revocation.learnt(good)]);
    expect(asked).toEqual([OCSP, CRL]);
    wait(61_000);
    await revocation.learnt(good);
    expect(asked).toEqual([OCSP, CRL, OCSP]);
    wait(14 * 24 * 3600_000);
    await revocation.learnt(good);
    expect(asked.filter((uri) => uri === CRL)).toHaveLength(2);
  });

  it("is asked for again at half of its life however often its peers call meanwhile", async () => {
    const { revocation, asked, wait } = stage({ [CRL]: () => octets("crl") });
    await revocation.learnt(good);
    for (let day = 0; day < 14; day++) {
      wait(24 * 3600_000);
      await revocation.learnt(good);
    }
    expect(asked.filter((uri) => uri === CRL)).toHaveLength(2);
  });

  it("is the list's for everyone who waits, when the responder has failed one of them", async () => {
    const { revocation } = stage({ [CRL]: () => octets("crl") });
    const first = revocation.learnt(good);
    await revocation.learnt(good);
    expect(codeOf(() => revocation.require(good, "strict"))).toBe("none");
    await first;
  });

  it("is nothing when what comes is junk, and junk takes nothing back", async () => {
    let list = octets("crl");
    const { revocation, wait } = stage({ [CRL]: () => list });
    await revocation.learnt(bad);
    list = Uint8Array.of(0x30, 0x03, 1, 2, 3);
    wait(20 * 24 * 3600_000);
    await revocation.learnt(bad);
    expect(codeOf(() => revocation.require(bad, "relaxed"))).toBe("pki/revoked");
  });

  it("is not asked for when the policy is off", async () => {
    const { revocation, asked } = stage({});
    revocation.require(bad, "off");
    expect(asked).toEqual([]);
  });

  it("ends no process when asking fails in a way that nobody has thought of (hostile input 29)", async () => {
    const errors: unknown[] = [];
    const log = pino({ level: "error" }, { write: (line: string) => errors.push(JSON.parse(line).msg) });
    const fetch = async () => {
      throw new TypeError("a defect");
    };
    const clock: Clock = { now: () => 0, wall: () => NOW };
    new Revocation({ fetch, clock, log, onNews: () => undefined }).require(good, "relaxed");
    await new Promise(setImmediate);
    expect(errors).toContain("asking about a certificate failed");
  });
});
