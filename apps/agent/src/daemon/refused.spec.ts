import { readFileSync } from "node:fs";
import { isFault } from "@sallyport/base";
import { readCertificate } from "@sallyport/pki";
import pino from "pino";
import type { Verdict } from "../stream/index.js";
import { Refused } from "./refused.js";
import { Revocation } from "./revocation.js";

const vectors: Record<string, string> = JSON.parse(
  readFileSync(new URL("../../../../libs/pki/src/vectors/openssl-revocation.json", import.meta.url), "utf8"),
);
const certificate = (name: string) => readCertificate(Uint8Array.from(Buffer.from(vectors[name] ?? "", "base64")));
const path = [certificate("good"), certificate("ca")];

it("a certificate is refused by the control plane's word under every policy, asks nobody for it, and is taken again when lifted", () => {
  const asked: string[] = [];
  const revocation = new Revocation({
    fetch: async ({ uri }) => {
      asked.push(uri);
      return new Uint8Array();
    },
    clock: { now: () => 0, wall: () => Date.parse("2026-11-25T00:00:00Z") },
    log: pino({ level: "silent" }),
    onNews: () => undefined,
  });
  const refused = new Refused(revocation);
  const code = () => {
    try {
      revocation.require(path, "off");
      return "none";
    } catch (error) {
      if (isFault(error)) return error.code;
      throw error;
    }
  };
  const verdict = (name: string, lifted: boolean): Verdict => {
    const { fingerprint, subject, notAfter } = certificate(name);
    return { number: 1, lifted, refusal: { kind: "certificate", fingerprint, subject: subject.text, notAfter } };
  };
  expect(code()).toBe("none");
  for (const name of ["good", "ca"]) {
    refused.take([verdict(name, false)]);
    expect(code()).toBe("pki/revoked");
    refused.take([verdict(name, true)]);
    expect(code()).toBe("none");
  }
  expect(asked).toEqual([]);
});
