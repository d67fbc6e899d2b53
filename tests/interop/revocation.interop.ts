import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { LastError } from "@sallyport/ike";
import type { ConnectionIntent, GatewayIntent } from "@sallyport/intent";
import { type Authority, type Credential, createAuthority, eventually, logged } from "@sallyport/testkit";
import { cableTopology, cableTunnel } from "./cable.js";
import { againstStrongswan } from "./daemons.js";
import { connectionIntent, peerConnection, type TunnelCase } from "./lab.js";
import { FATES, type Fate, type Fated, suffer, WEB, Web } from "./revocation-lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

const NS = { ours: "sp-revoke-ours", theirs: "sp-revoke-theirs" };
const OURS = "ours.test";
const THEIRS = "theirs.test";

/** Revoked while their SAs are up: by a list in the intent, and by one that the agent fetches. */
const LATER: readonly Fate[] = [
  { id: "revoked-by-operator", policy: "relaxed", asks: "list that is not there" },
  { id: "revoked-on-the-web", policy: "strict", asks: "list" },
];
/** A place is asked again after a minute at the earliest. */
const SECONDS_TO_LEARN = 120;

function tunnel(n: number, id: string): TunnelCase {
  const plainly = cableTunnel(n, id, { auth: "certificate" });
  return { ...plainly, theirs: { ...plainly.theirs, name: THEIRS } };
}

const WE_JUDGE = [...FATES, ...LATER].map((fate, n) => ({ ...fate, tunnel: tunnel(n, fate.id) }));
const THEY_JUDGE = FATES.map((fate, n) => ({ ...fate, tunnel: tunnel(20 + n, `ours-${fate.id}`) }));
const TUNNELS = [...WE_JUDGE, ...THEY_JUDGE].map((t) => t.tunnel);
const UNRELATED = tunnel(0, "good-by-list");

const [BY_OPERATOR, ON_THE_WEB] = WE_JUDGE.slice(FATES.length).map((f) => f.tunnel) as [TunnelCase, TunnelCase];

const topology = cableTopology(NS, TUNNELS, { cable: { theirs: [`${WEB}/24`] } });

let directory: string;
let web: Web;
/** Its certificates say nothing of revocation. */
let plain: Authority;
let fated: ReadonlyMap<string, Fated>;
let own: Credential;
/** Lists that the operator hands to the agent, by fate. */
const handed = new Map<string, Buffer>();

const of = (id: string): Fated => {
  const found = fated.get(id);
  if (!found) throw new Error(`no fate ${id}`);
  return found;
};

/** To the far end all are one name's, so a first contact of one would end the others. */
const alone = (t: TunnelCase, anchor: string): ConnectionIntent => {
  const intent = connectionIntent(t);
  return {
    ...intent,
    remote: { ...intent.remote, from: [`${t.theirs.address}/32`] },
    initialContact: false,
    peer: { method: "certificate", identity: { type: "fqdn", value: THEIRS }, trustAnchorIds: [anchor] },
  };
};

const intentWith = (certificate: Credential): GatewayIntent => ({
  schema: 1,
  revision: 1,
  gateway: { id: OURS, name: OURS },
  identity: { type: "fqdn", value: OURS },
  ports: { ike: 500, natt: 4500 },
  certificate: { fingerprint: certificate.fingerprint, intermediates: [] },
  trustAnchors: [
    { id: "plain", der: plain.der.toString("base64"), revocation: "off" },
    ...WE_JUDGE.map(({ id, policy }) => {
      const list = handed.get(id);
      const der = of(id).authority.own.der.toString("base64");
      return { id, der, revocation: policy, ...(list && { crls: [list.toString("base64")] }) };
    }),
  ],
  connections: [
    ...WE_JUDGE.map(({ id, tunnel: t }) => alone(t, id)),
    ...THEY_JUDGE.map(({ tunnel: t }) => alone(t, "plain")),
  ],
  options: { commitConfirmSeconds: 60, reportSeconds: 5 },
});

const lab = againstStrongswan(NS, topology).forFile(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "sallyport-revocation-"));
  await mkdir(path.join(directory, "web"));
  web = await Web.open(NS.theirs, path.join(directory, "web"));
  plain = await createAuthority("plain", "ecdsa");
  own = await plain.issue(OURS, "ecdsa");
  const theirs = await plain.issue(THEIRS, "ecdsa");
  const names = { ours: OURS, theirs: THEIRS };
  fated = new Map(
    await Promise.all([...FATES, ...LATER].map(async (f) => [f.id, await suffer(f, web, directory, names)] as const)),
  );
  // Half of its life is over soon, so that the next one is fetched as soon as may be.
  const { authority } = of("revoked-on-the-web");
  await web.publish("revoked-on-the-web", await authority.list({ age: 0, life: 60 }));
  const all = [...fated.values()];
  return {
    peer: {
      plugins: ["curl"],
      authorities: [plain.certificate, ...all.map((f) => f.authority.own.certificate)],
      certificates: all.flatMap((f) => f.between.map((c) => c.certificate)),
      privateKeys: [theirs.privateKey, ...all.map((f) => f.theirs.privateKey)],
      connections: [
        ...WE_JUDGE.map(({ id, tunnel: t }) => ({
          ...peerConnection(t, of(id).theirs),
          remote: { auth: "pubkey", id: OURS, authorities: [plain.certificate] },
        })),
        ...THEY_JUDGE.map(({ id, policy, tunnel: t }) => ({
          ...peerConnection(t, theirs),
          remote: { auth: "pubkey", id: OURS, authorities: [of(id).authority.own.certificate], revocation: policy },
        })),
      ],
    },
    agent: { credential: own, intent: intentWith(own) },
  };
});
// A list is fetched anew after a minute: time for the other tests.
beforeAll(async () => {
  await lab.pair.up(ON_THE_WEB, "ours");
  await lab.pair.both(ON_THE_WEB);
  const { authority, theirs } = of("revoked-on-the-web");
  await authority.revoke(theirs);
  await web.publish("revoked-on-the-web", await authority.list());
}, 120_000);
afterAll(async () => {
  await web?.close();
  if (directory) await rm(directory, { recursive: true, force: true });
}, 120_000);

/** Brings it up with traffic, and takes it down. */
async function works(t: TunnelCase, by: "ours" | "theirs"): Promise<void> {
  await lab.pair.up(t, by);
  await lab.pair.both(t);
  await eventually(
    "ten replies",
    async () => (await lab.pair.ping(t, 10, { waitMs: 1_000 })).received === 10 || undefined,
  );
  await lab.agent.ask("down", { tunnel: t.id });
  await lab.pair.gone(t);
}

/** Tries to bring it up; gives what the agent says then. */
async function fails(t: TunnelCase, by: "ours" | "theirs"): Promise<LastError> {
  const before = (await lab.agent.peer(t.id)).lastError?.at ?? 0;
  await lab.pair.up(t, by).catch(() => undefined);
  const error = await eventually(`${t.id} says why`, async () => {
    const { lastError } = await lab.agent.peer(t.id);
    return lastError && lastError.at > before ? lastError : undefined;
  });
  await lab.agent.ask("down", { tunnel: t.id });
  await lab.pair.gone(t);
  return error;
}

describe.each(["ours", "theirs"] as const)("strongSwan's certificate, %s begins", (by) => {
  const role = STARTED_BY[by];
  for (const { id, policy, refused, tunnel: t } of WE_JUDGE.slice(0, FATES.length)) {
    if (!refused) scenario({ proves: 28, role }, `is taken: ${id}`, () => works(t, by), 120_000);
    else {
      scenario(
        { proves: 28, role },
        `is refused: ${id}`,
        async () => {
          const { code, message } = refused;
          const error = await fails(t, by);
          expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
          if (policy === "strict") expect(error.exchange).toBe("IKE_AUTH");
          // What the control plane audits (docs/audit.md).
          await logged(lab.agent, new RegExp(`^(?=.*"${code}").*"refused":"${THEIRS}"`, "m"));
          expect(await lab.peer.listSas(t.id)).toEqual([]);
        },
        120_000,
      );
    }
  }
});

describe("revoked while its SAs are up", () => {
  beforeAll(async () => {
    for (const t of [UNRELATED, BY_OPERATOR]) await lab.pair.up(t, "ours");
    for (const t of [UNRELATED, BY_OPERATOR]) await lab.pair.both(t);
  }, 120_000);

  scenario(
    { proves: 28, role: "initiator" },
    "they end at once at both ends, and an unrelated tunnel loses nothing",
    async () => {
      const before = await lab.pair.both(UNRELATED);
      const { authority, theirs } = of("revoked-by-operator");
      await authority.revoke(theirs, "certificateHold");
      handed.set("revoked-by-operator", await authority.list());
      const seen = await lab.pair.during(UNRELATED, async () => {
        await lab.agent.change({ intent: intentWith(own) });
        await lab.pair.gone(BY_OPERATOR);
      });
      expect(seen.received).toBe(seen.sent);
      const after = await lab.pair.both(UNRELATED);
      expect([after.ours.spiInitiator, after.child.ours.spiIn]).toEqual([
        before.ours.spiInitiator,
        before.child.ours.spiIn,
      ]);
      expect((await lab.agent.peer(BY_OPERATOR.id)).lastError).toMatchObject({
        code: "pki/revoked",
        message: expect.stringMatching(/certificateHold, CRL/),
      });
      expect(await lab.pair.ping(BY_OPERATOR, 3, { waitMs: 1_000 })).toMatchObject({ received: 0 });
    },
    120_000,
  );

  scenario(
    { proves: 28 },
    "and no SA is made any more, until a list takes the revocation back",
    async () => {
      for (const by of ["ours", "theirs"] as const) {
        expect(await fails(BY_OPERATOR, by)).toMatchObject({ code: "pki/revoked" });
      }
      const { authority } = of("revoked-by-operator");
      await authority.restoreAll();
      handed.set("revoked-by-operator", await authority.list({ age: 0 }));
      await lab.agent.change({ intent: intentWith(own) });
      for (const by of ["ours", "theirs"] as const) await works(BY_OPERATOR, by);
    },
    120_000,
  );
});

describe.each(THEY_JUDGE)("our certificate to strongSwan: $id", ({ id, refused, tunnel: t }) => {
  beforeAll(async () => {
    const { ours, between } = of(id);
    const certificate = [ours, ...between].map((c) => c.certificate.trimEnd()).join("\n");
    await lab.agent.change({ intent: intentWith(ours), credential: { ...ours, certificate } });
  }, 120_000);

  for (const by of ["ours", "theirs"] as const) {
    const role = STARTED_BY[by];
    if (!refused) scenario({ proves: 28, role }, `is taken, ${by} begins`, () => works(t, by), 120_000);
    else {
      scenario(
        { proves: 28, role },
        `is refused, ${by} begins, which we say`,
        async () => {
          expect(await fails(t, by)).toMatchObject({ theirs: "AUTHENTICATION_FAILED" });
          await logged(lab.peer, refused.there);
        },
        120_000,
      );
    }
  }
});

describe("a list that is fetched anew", () => {
  beforeAll(() => lab.agent.change({ intent: intentWith(own), credential: own }), 120_000);

  scenario(
    { proves: 28, role: "initiator" },
    "takes back what an older one allowed, and no unrelated tunnel",
    async () => {
      await eventually(
        "its SAs have ended",
        async () => (await lab.agent.peer(ON_THE_WEB.id)).lastError?.code === "pki/revoked" || undefined,
        SECONDS_TO_LEARN * 1000,
        500,
      );
      await lab.pair.gone(ON_THE_WEB);
      await lab.pair.both(UNRELATED);
      expect(await lab.pair.ping(UNRELATED, 10)).toMatchObject({ sent: 10, received: 10 });
    },
    (SECONDS_TO_LEARN + 20) * 1000,
  );
});
