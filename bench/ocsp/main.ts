/** Answering OCSP requests with a nonce, so that each answer is signed, against the bare signature: `node bench/ocsp/main.ts`. */
import { randomBytes } from "node:crypto";
import {
  authoritySubject,
  buildOcspResponse,
  certifyAuthority,
  generateKeys,
  issueLeaf,
  issueResponder,
  issuerHash,
  ocspRequest,
  ocspSigner,
  readOcspRequest,
  spkiOf,
} from "@sallyport/pki";
import { type Case, KINDS, report, signer } from "../pki/paired.ts";

const now = Date.now();
const YEAR = 365 * 86_400_000;
const HOUR = 3_600_000;
/** Octets of what is signed in such an answer. */
const SIGNED = 220;
const subject = authoritySubject({ commonName: "Issuing CA", organization: "Acme" });

const cases: Case[] = [];
for (const kind of KINDS) {
  const { store, key, bare } = await signer(kind, SIGNED);
  const authority = await certifyAuthority(store, await store.generate("ecdsa-p256"), undefined, {
    subject,
    now,
    notAfter: now + YEAR,
    pathLength: 0,
  });
  const responder = ocspSigner(key, (await issueResponder(store, authority, { spki: key.spki, now })).certificate);
  const spki = spkiOf((await generateKeys()).publicKey);
  const leaf = await issueLeaf(store, authority, {
    subject: [["CN", "alice"]],
    spki,
    now,
    notAfter: now + YEAR / 4,
    extendedKeyUsage: [],
    names: [],
  });
  const known = new Map([[leaf.serial, "good" as const]]);
  const issuer = issuerHash(authority.certificate, "sha1");
  const requests = Array.from({ length: 256 }, () =>
    ocspRequest(leaf.certificate, authority.certificate, randomBytes(32)),
  );
  let turn = 0;
  const whole = () => {
    const { asked, nonce } = readOcspRequest(requests[turn++ & 255] as Uint8Array);
    const statements = asked
      .filter((a) => a.issuer === issuer)
      .map(({ id, serial }) => ({ id, status: known.get(serial) ?? ("unknown" as const) }));
    return buildOcspResponse(store, responder, statements, { thisUpdate: now, nextUpdate: now + HOUR }, nonce);
  };
  cases.push({ label: `answer with a nonce, responder with ${kind}`, kind, bare, whole });
}
await report("ocsp", cases, [
  "A request with a nonce of 32 octets is taken apart, the certificate looked up in memory, the answer built and signed. What is asked without a nonce was signed ahead and costs no signature. Neither HTTP nor the database is in it.",
]);
