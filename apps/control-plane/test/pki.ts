import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestControlPlane } from "./control-plane.js";

/** A folder in which the openssl command works. */
export class OpenSsl {
  readonly directory = mkdtempSync(path.join(tmpdir(), "sallyport-openssl-"));

  file(name: string, content: string | Uint8Array): string {
    writeFileSync(path.join(this.directory, name), content);
    return name;
  }

  bytes(name: string): Buffer<ArrayBuffer> {
    return readFileSync(path.join(this.directory, name));
  }

  /** Standard output and error, whatever the exit code. */
  run(...args: string[]): string {
    const { stdout, stderr } = spawnSync("openssl", args, { cwd: this.directory, encoding: "utf8" });
    return stdout + stderr;
  }

  /** A new key file and a request for it. */
  request(name: string, subject: string, ...more: string[]): string {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", `${name}.key`];
    this.run("req", "-new", ...key, "-subj", subject, ...more, "-out", `${name}.csr`);
    return this.run("req", "-in", `${name}.csr`);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}

export interface Authority {
  readonly id: string;
  readonly name: string;
  readonly pem: string;
  readonly level: string;
  readonly canSign: boolean;
  readonly parentId: string | null;
}
export interface Issued {
  readonly certificate: {
    readonly id: string;
    readonly serial: string;
    readonly pem: string;
    readonly names: string[];
  };
  readonly chain: string;
  readonly privateKey: string | null;
}

const AUTHORITY = "{ id name pem level canSign parentId }";
export const CREATE_AUTHORITY = `mutation ($input: CreateCertificateAuthorityInput!) { createCertificateAuthority(input: $input) ${AUTHORITY} }`;
export const REQUEST_AUTHORITY =
  "mutation ($input: RequestCertificateAuthorityInput!) { requestCertificateAuthority(input: $input) { id csr } }";
export const COMPLETE_AUTHORITY = `mutation ($input: CompleteCertificateAuthorityInput!) { completeCertificateAuthority(input: $input) ${AUTHORITY} }`;
export const IMPORT_AUTHORITY = `mutation ($input: ImportCertificateAuthorityInput!) { importCertificateAuthority(input: $input) ${AUTHORITY} }`;
export const CREATE_PROFILE =
  "mutation ($input: CreateCertificateProfileInput!) { createCertificateProfile(input: $input) { id validDays extendedKeyUsages } }";
const ISSUED = "{ certificate { id serial pem names } chain privateKey }";
export const SIGN_CSR = `mutation ($input: SignCsrInput!) { signCsr(input: $input) ${ISSUED} }`;
export const ISSUE = `mutation ($input: IssueCertificateInput!) { issueCertificate(input: $input) ${ISSUED} }`;
export const RENEW = `mutation ($id: ID!) { renewCertificate(id: $id) ${ISSUED} }`;
export const REKEY = `mutation ($input: RekeyCertificateInput!) { rekeyCertificate(input: $input) ${ISSUED} }`;
const STATE = "{ id revokedAt revocationReason }";
export const REVOKE = `mutation ($input: RevokeCertificateInput!) { revokeCertificate(input: $input) ${STATE} }`;
export const HOLD = `mutation ($id: ID!) { holdCertificate(id: $id) ${STATE} }`;
export const RELEASE = `mutation ($id: ID!) { releaseCertificate(id: $id) ${STATE} }`;

export async function createAuthority(cp: TestControlPlane, input: object): Promise<Authority> {
  const made = await cp.get<{ createCertificateAuthority: Authority }>(CREATE_AUTHORITY, { input });
  return made.createCertificateAuthority;
}

/** A root, a CA below it, and a profile for people at example.org. */
export async function createPeople(cp: TestControlPlane, more: object = {}) {
  const root = await createAuthority(cp, { name: "People Root" });
  const issuing = await createAuthority(cp, { name: "People", parentId: root.id });
  const input = { name: "People", kind: "ROAD_WARRIOR", authorityId: issuing.id, emailHosts: ["example.org"], ...more };
  const { createCertificateProfile } = await cp.get<{ createCertificateProfile: { id: string } }>(CREATE_PROFILE, {
    input,
  });
  return { root, issuing, profileId: createCertificateProfile.id };
}

export async function issue(cp: TestControlPlane, profileId: string, mailbox: string): Promise<Issued> {
  const input = { profileId, holder: mailbox, names: [{ type: "EMAIL", value: mailbox }] };
  return (await cp.get<{ issueCertificate: Issued }>(ISSUE, { input })).issueCertificate;
}
