import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { type Credential, endProcess, spawnIn } from "@sallyport/testkit";
import { type Places, RevokingAuthority } from "./revoking-authority.js";

/** Where lists and responders are, in the far end's namespace. */
export const WEB = "192.0.2.200";

export interface Fate {
  readonly id: string;
  readonly policy: "strict" | "relaxed";
  /** Where the certificates say that they are asked about. */
  readonly asks: "list" | "responder" | "responder that is down, and list" | "list that is not there";
  readonly revoked?: true;
  readonly stale?: true;
  /** There is a CA between, which the anchor does not allow. */
  readonly tooLong?: true;
  /** Why it is refused: our code and words, and strongSwan's words. */
  readonly refused?: { readonly code: string; readonly message: RegExp; readonly there: RegExp };
}

const REVOKED = { code: "pki/revoked", there: /certificate was revoked on/ };
const UNKNOWN = { code: "pki/revocation-unknown", there: /RULE_CRL_VALIDATION is \w+, but requires/ };

export const FATES: readonly Fate[] = [
  { id: "good-by-list", policy: "strict", asks: "list" },
  { id: "good-by-ocsp", policy: "strict", asks: "responder" },
  { id: "good-by-list-as-ocsp-is-down", policy: "strict", asks: "responder that is down, and list" },
  {
    id: "revoked-by-list",
    policy: "strict",
    asks: "list",
    revoked: true,
    refused: { ...REVOKED, message: /was revoked at .* \(keyCompromise, CRL\)/ },
  },
  {
    id: "revoked-by-ocsp",
    policy: "strict",
    asks: "responder",
    revoked: true,
    refused: { ...REVOKED, message: /was revoked at .* \(keyCompromise, OCSP\)/ },
  },
  {
    // Taken until the list is there, which comes after.
    id: "revoked-relaxed",
    policy: "relaxed",
    asks: "list",
    revoked: true,
    refused: { ...REVOKED, message: /was revoked at .* \(keyCompromise, CRL\)/ },
  },
  {
    id: "stale-strict",
    policy: "strict",
    asks: "list",
    stale: true,
    refused: { ...UNKNOWN, message: /the list of CN=stale-strict was good until/ },
  },
  { id: "stale-relaxed", policy: "relaxed", asks: "list", stale: true },
  {
    id: "unreachable-strict",
    policy: "strict",
    asks: "list that is not there",
    refused: { ...UNKNOWN, message: /no list of revoked certificates of CN=unreachable-strict/ },
  },
  { id: "unreachable-relaxed", policy: "relaxed", asks: "list that is not there" },
  {
    id: "path-too-long",
    policy: "relaxed",
    asks: "list",
    tooLong: true,
    refused: {
      code: "pki/forbidden-use",
      message: /CN=path-too-long allows 0 CAs below it, not 1/,
      there: /path length of 1 violates constraint of 0/,
    },
  },
];

/** What has its certificates from an authority with a fate. */
export interface Fated extends Fate {
  readonly authority: RevokingAuthority;
  /** CAs between, PEM. */
  readonly between: readonly Credential[];
  readonly ours: Credential;
  readonly theirs: Credential;
}

/** The places of revocation: their files, and the daemons that serve them. */
export class Web {
  readonly #namespace: string;
  readonly #directory: string;
  readonly #ends: (() => Promise<void>)[] = [];
  #port = 8100;

  private constructor(namespace: string, directory: string) {
    this.#namespace = namespace;
    this.#directory = directory;
  }

  static async open(namespace: string, directory: string): Promise<Web> {
    const web = new Web(namespace, directory);
    const script = path.join(import.meta.dirname, "web-main.ts");
    const child = spawnIn(namespace, process.execPath, [script, directory], { stdio: ["ignore", "pipe", "inherit"] });
    web.#ends.push(() => endProcess(child));
    await Promise.race([child.stdout && once(child.stdout, "data"), once(child, "exit")]);
    return web;
  }

  /** The list is to be had from now on. */
  async publish(name: string, list: Buffer): Promise<string> {
    await writeFile(path.join(this.#directory, `${name}.crl`), list);
    return this.listOf(name);
  }

  listOf(name: string): string {
    return `http://${WEB}/${name}.crl`;
  }

  /** A port that is the next responder's. */
  nextResponder(): { readonly uri: string; readonly port: number } {
    const port = this.#port++;
    return { uri: `http://${WEB}:${port}/`, port };
  }

  async respond(authority: RevokingAuthority, port: number): Promise<void> {
    this.#ends.push(await authority.respond(this.#namespace, port));
  }

  async close(): Promise<void> {
    await Promise.all(this.#ends.map((end) => end()));
  }
}

/** Two end entities, `names` of ours and theirs, to whom happens what `fate` says. */
export async function suffer(
  fate: Fate,
  web: Web,
  directory: string,
  names: { readonly ours: string; readonly theirs: string },
): Promise<Fated> {
  const { id } = fate;
  const authority = await RevokingAuthority.create(directory, id, fate.tooLong ? { pathLength: 0 } : {});
  const below = fate.tooLong
    ? await RevokingAuthority.create(directory, `${id}-below`, { above: authority })
    : undefined;
  const responder = web.nextResponder();
  const places: Record<Fate["asks"], Places> = {
    list: { crl: web.listOf(id) },
    responder: { ocsp: responder.uri },
    "responder that is down, and list": { ocsp: responder.uri, crl: web.listOf(id) },
    "list that is not there": { crl: `http://${WEB}:81/${id}.crl` },
  };
  const issuer = below ?? authority;
  const ours = await issuer.issue([names.ours], places[fate.asks]);
  const theirs = await issuer.issue([names.theirs], places[fate.asks]);
  if (fate.revoked) for (const credential of [ours, theirs]) await authority.revoke(credential);
  if (fate.asks === "responder") await web.respond(authority, responder.port);
  if (fate.asks.endsWith("list")) {
    const day = 86_400;
    await web.publish(id, await authority.list(fate.stale ? { age: 3 * day, life: day } : {}));
  }
  return { ...fate, authority, between: below ? [below.own] : [], ours, theirs };
}
