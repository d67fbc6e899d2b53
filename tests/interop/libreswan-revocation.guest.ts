import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { LastError } from "@sallyport/ike";
import type { ConnectionIntent, GatewayIntent } from "@sallyport/intent";
import { type Authority, type Credential, createAuthority, eventually } from "@sallyport/testkit";
import { againstLibreswan } from "./daemons.js";
import {
  credential,
  type LibreswanCase,
  libreswanCable,
  libreswanCase,
  libreswanSetup,
  logOf,
  type Settings,
} from "./libreswan-lab.js";
import { FATES, type Fate, type Fated, suffer, WEB, Web } from "./revocation-lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

const NS = { ours: "sp-lrevoke-ours", theirs: "sp-lrevoke-theirs" };
const OURS = "ours.test";
const THEIRS = "theirs.test";
const fqdn = (value: string) => ({ type: "fqdn", value }) as const;

/** Lists are its own business only when they are in its database; OCSP it asks for itself. */
const JUDGED_THERE = ["revoked-by-list", "revoked-by-ocsp", "path-too-long"];
const JUDGED_HERE = ["revoked-by-list", "revoked-by-ocsp", "stale-strict", "path-too-long"];

const shows = (name: string): Settings => ({
  authby: "ecdsa",
  leftcert: name,
  leftsendcert: "always",
  sendca: "all",
  rightca: "%any",
});
const certified = (name: string, anchor: string): Partial<ConnectionIntent> => ({
  local: { method: "certificate", identity: fqdn(OURS) },
  peer: { method: "certificate", identity: fqdn(name), trustAnchorIds: [anchor] },
  // To the far end we are one name in all of them.
  initialContact: false,
});
/** NSS takes certificates of one subject for one, so that each has to have its own. */
const nameOf = (anchor: string) => (anchor === "plain" ? THEIRS : `${anchor}.${THEIRS}`);
let next = 1;
function made(id: string, anchor: string, settings: Settings, connection: Partial<ConnectionIntent> = {}) {
  const n = next++;
  const name = nameOf(anchor);
  const theirs = { name, address: `192.0.2.${10 + n}`, subnet: `10.2.${n}.0/24`, host: `10.2.${n}.1` };
  return libreswanCase(n, id, {
    tunnel: { auth: "certificate", theirs },
    connection: (plain) => ({
      ...certified(name, anchor),
      remote: { ...plain.remote, from: [`${plain.remote.host}/32`] },
      ...connection,
    }),
    settings,
  });
}

type Judged = Fate & { readonly its: LibreswanCase };
const among = (ids: readonly string[]) => FATES.filter((f) => ids.includes(f.id));
const WE_JUDGE: readonly Judged[] = among(JUDGED_HERE).map((f) => ({ ...f, its: made(f.id, f.id, shows(f.id)) }));
const THEY_JUDGE: readonly Judged[] = among(JUDGED_THERE).map((f) => ({
  ...f,
  its: made(`ours-${f.id}`, "plain", shows("plain")),
}));
const CASES = [...WE_JUDGE, ...THEY_JUDGE].map((c) => c.its);

let directory: string;
let web: Web;
let plain: Authority;
let own: Credential;
let fated: ReadonlyMap<string, Fated>;
const of = (id: string): Fated => {
  const found = fated.get(id);
  if (!found) throw new Error(`no fate ${id}`);
  return found;
};

const intentWith = (certificate: Credential): GatewayIntent => ({
  schema: 1,
  revision: 1,
  gateway: { id: OURS, name: OURS },
  identity: fqdn(OURS),
  ports: { ike: 500, natt: 4500 },
  certificate: { fingerprint: certificate.fingerprint, intermediates: [] },
  trustAnchors: [
    { id: "plain", der: plain.der.toString("base64"), revocation: "off" },
    ...WE_JUDGE.map(({ id, policy }) => {
      const der = of(id).authority.own.der.toString("base64");
      return { id, der, revocation: policy };
    }),
  ],
  connections: CASES.map((c) => c.connection),
  options: { commitConfirmSeconds: 60, reportSeconds: 5 },
});

const lab = againstLibreswan(NS, libreswanCable(NS, CASES, { cable: { theirs: [`${WEB}/24`] } })).forFile(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "sallyport-revocation-"));
  await mkdir(path.join(directory, "web"));
  web = await Web.open(NS.theirs, path.join(directory, "web"));
  plain = await createAuthority("plain", "ecdsa");
  own = await plain.issue(OURS, "ecdsa");
  const theirs = await plain.issue(THEIRS, "ecdsa");
  const wanted = among([...JUDGED_HERE, ...JUDGED_THERE]);
  const all: Fated[] = [];
  for (const fate of wanted) all.push(await suffer(fate, web, directory, { ours: OURS, theirs: nameOf(fate.id) }));
  fated = new Map(all.map((f) => [f.id, f]));
  const authority = (name: string, { certificate }: Credential, trusted = true) => ({ name, certificate, trusted });
  const { peer } = libreswanSetup(CASES, {
    setup: { uniqueids: "no", "ocsp-enable": "yes", "ocsp-cache-size": "0", "ocsp-timeout": "10" },
    authorities: [
      authority("plain CA", plain),
      ...all.map((f) => authority(`${f.id} CA`, f.authority.own)),
      ...all.flatMap((f) => f.between.map((c) => authority(`${f.id} below`, c, false))),
    ],
    crls: [await of("revoked-by-list").authority.list()],
    credentials: [credential("plain", theirs), ...all.map((f) => credential(f.id, f.theirs))],
  });
  return { peer, agent: { intent: intentWith(own), credential: own } };
});
afterAll(async () => {
  await web?.close();
  if (directory) await rm(directory, { recursive: true, force: true });
});

/** Tries to bring it up; gives what the agent says then. */
async function fails(its: LibreswanCase, by: "ours" | "theirs"): Promise<LastError> {
  const { id } = its.tunnel;
  const before = (await lab.agent.peer(id)).lastError?.at ?? 0;
  if (by === "ours") await lab.pair.up(its.tunnel, by);
  else await lab.peer.whack(["--name", `${id}-net`, "--initiate", "--asynchronous"]);
  const error = await eventually(
    `${id} says why`,
    async () => {
      const { lastError } = await lab.agent.peer(id);
      return lastError && lastError.at > before ? lastError : undefined;
    },
    120_000,
  );
  if (by === "ours") await lab.agent.ask("down", { tunnel: id });
  else await lab.peer.whack(["--name", `${id}-net`, "--terminate"]);
  expect((await lab.agent.peer(id)).sas.filter((sa) => sa.state === "established")).toEqual([]);
  return error;
}

describe.each(["theirs", "ours"] as const)("libreswan's certificate, %s begins", (by) => {
  const role = STARTED_BY[by];
  for (const { id, refused, its } of WE_JUDGE) {
    scenario(
      { proves: 28, peer: "libreswan", role },
      `is refused: ${id}`,
      async () => {
        expect(await fails(its, by)).toMatchObject({
          code: refused?.code,
          message: expect.stringMatching(refused?.message ?? /./),
        });
      },
      120_000,
    );
  }
});

describe.each(THEY_JUDGE)("our certificate to libreswan: $id", ({ id, its }) => {
  beforeAll(async () => {
    const { ours, between } = of(id);
    const certificate = [ours, ...between].map((c) => c.certificate.trimEnd()).join("\n");
    await lab.agent.change({ intent: intentWith(ours), credential: { ...ours, certificate } });
  }, 120_000);

  scenario(
    { proves: 28, peer: "libreswan", role: "initiator" },
    "is refused, which we say",
    async () => {
      expect(await fails(its, "ours")).toMatchObject({ theirs: "AUTHENTICATION_FAILED" });
      expect(await logOf(lab, its.tunnel)).toMatch(/SEC_ERROR_|certificate .*(revoked|rejected|invalid)/i);
    },
    120_000,
  );
});
