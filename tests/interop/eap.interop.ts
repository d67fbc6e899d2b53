import type { LastError } from "@sallyport/ike";
import {
  type Agent,
  type Authority,
  type Credential,
  createAuthority,
  eventually,
  logged,
  markLogs,
  ping,
  type Strongswan,
  type Topology,
} from "@sallyport/testkit";
import { Lab } from "./daemons.js";
import {
  atBranch,
  atGateway,
  BRANCH,
  type Case,
  calling,
  DEVICE,
  expecting,
  GATEWAY_AT_BRANCH,
  inNamesOnly,
  intentOf,
  MALLORY,
  OURS,
  PASSWORD,
  serving,
  THEIRS,
  TLS_12,
  TLS_13,
  USER,
  untrusting,
  WAYS,
  type Way,
} from "./eap-lab.js";
import { Pair, type TunnelCase } from "./lab.js";
import { scenario } from "./scenario.js";

let authority: Authority;
let stranger: Authority;
/** strongSwan's as a server, and the user's at either end. */
let server: Credential;
let user: Credential;
let agent: Agent;
let branch: Agent;
let peer: Strongswan;
let pair: Pair;
let served: readonly (Way & Case)[];
let called: readonly (Way & Case)[];
let refusals: {
  readonly wrongPassword: Case;
  readonly stranger: Case;
  readonly otherMethod: Case;
  readonly wrongPasswordThere: Case;
  readonly strangerThere: Case;
  readonly untrusting: Case;
  readonly noIndication: Case;
  readonly strangersCertificate: Case;
  readonly otherServer: Case;
};
let alone: { readonly served: Case; readonly called: Case };

const NS = { ours: "sp-eap-ours", theirs: "sp-eap-theirs", branch: "sp-eap-branch" };
const ADDRESSES = Array.from({ length: 20 }, (_, n) => `192.0.2.${10 + n}/24`);
const TOPOLOGY: Topology = {
  namespaces: [
    { name: NS.ours, loopback: Array.from({ length: 20 }, (_, n) => `10.1.${n}.1/32`) },
    { name: NS.branch, loopback: [`${BRANCH.theirs.host}/32`] },
    { name: NS.theirs, loopback: Array.from({ length: 20 }, (_, n) => `10.2.${n}.1/32`) },
  ],
  cables: [
    [
      { namespace: NS.ours, device: "wan", addresses: ["192.0.2.1/24"] },
      { namespace: NS.theirs, device: "wan", addresses: ADDRESSES },
    ],
    [
      { namespace: NS.ours, device: "wan2", addresses: [`${GATEWAY_AT_BRANCH}/30`] },
      { namespace: NS.branch, device: "wan", addresses: [`${BRANCH.theirs.address}/30`] },
    ],
  ],
};

const lab = new Lab(TOPOLOGY);
lab.forFile(async () => {
  authority = await createAuthority("EAP lab", "rsa");
  stranger = await createAuthority("another lab", "ecdsa");
  // Our gateway's certificate is also what it shows as a client of EAP-TLS, so it proves the user's name.
  const own = await authority.issue([OURS, USER], "rsa");
  [server, user] = await Promise.all([authority.issue(THEIRS, "rsa"), authority.issue(USER, "rsa")]);
  const mallory = await stranger.issue(MALLORY, "rsa");
  served = WAYS.map((way, n) => ({ ...way, ...serving(user, n, `serve-${way.name}`, way) }));
  called = WAYS.map((way, n) => ({ ...way, ...calling(server, 4 + n, `call-${way.name}`, way) }));
  refusals = {
    wrongPassword: serving(user, 8, "wrong-password", { method: "mschapv2" }, { eapId: "bob" }),
    stranger: serving(user, 9, "stranger", { method: "gtc" }, { eapId: "eve@example.org" }),
    otherMethod: serving(user, 10, "other-method", { method: "mschapv2" }, { auth: "eap-md5" }),
    wrongPasswordThere: calling(server, 11, "wrong-password-there", { method: "mschapv2" }, "a guess"),
    strangerThere: calling(server, 12, "stranger-there", { method: "md5" }, PASSWORD, "eve@example.org"),
    untrusting: untrusting(serving(user, 16, "untrusting", { method: "mschapv2" }), stranger),
    noIndication: calling(server, 13, "no-indication", { method: "tls", tls: TLS_13 }),
    strangersCertificate: serving(
      mallory,
      18,
      "strangers-certificate",
      { method: "tls", tls: TLS_12 },
      { eapId: MALLORY },
    ),
    otherServer: expecting(calling(server, 19, "other-server", { method: "tls", tls: TLS_12 }), "other.test"),
  };
  alone = {
    served: inNamesOnly(serving(user, 14, "serve-alone", { method: "tls", tls: TLS_12 }), "local"),
    called: inNamesOnly(calling(server, 15, "call-alone", { method: "tls", tls: TLS_12 }), "peer"),
  };
  const cases = [...served, ...called, ...Object.values(refusals), ...Object.values(alone)];
  branch = await lab.agent(NS.branch, {
    credential: user,
    intent: intentOf(authority, user, [atBranch(user)]),
  });
  peer = await lab.strongswan(NS.theirs, {
    tls: { version_max: "1.3" },
    plugins: ["md5", "eap-identity", "eap-md5", "xauth-generic", "eap-gtc", "eap-mschapv2", "eap-tls"],
    pluginSettings: { "eap-gtc": { backend: "generic" } },
    authorities: [authority.certificate],
    privateKeys: [server.privateKey, user.privateKey, mallory.privateKey],
    secrets: [
      { type: "EAP", owners: [USER], secret: PASSWORD },
      { type: "EAP", owners: ["bob"], secret: "not bob's" },
      { type: "EAP", owners: ["eve@example.org"], secret: "whatever" },
    ],
    connections: cases.map((c) => c.peer),
  });
  agent = await lab.agent(NS.ours, {
    credential: own,
    intent: intentOf(authority, own, [...cases.map((c) => c.intent), atGateway]),
  });
  pair = new Pair(agent, peer, NS);
});

/** How much is lost under which load is the business of other tests. */
async function flows(it: TunnelCase): Promise<void> {
  await eventually(
    "twenty replies",
    async () => (await pair.ping(it, 20, { waitMs: 1_000 })).received === 20 || undefined,
  );
}

describe.each(WAYS)("EAP-$name", ({ name, proves }) => {
  const up = async (cases: readonly (Way & Case)[], starter: "ours" | "theirs") => {
    const { it } = cases.find((c) => c.name === name) ?? { it: undefined };
    if (!it) throw new Error(`no case ${name}`);
    await pair.up(it, starter);
    const ends = await pair.both(it);
    await flows(it);
    return { it, ...ends, counted: (await pair.both(it)).child.theirs.packetsIn };
  };

  scenario(
    { proves, role: "responder" },
    "lets strongSwan in, which sees the same SAs, and traffic flows",
    async () => {
      const { ours, theirs, counted } = await up(served, "theirs");
      expect(ours).toMatchObject({ user: USER, remoteId: DEVICE, localId: OURS });
      expect(theirs).toMatchObject({ localId: DEVICE, remoteId: OURS });
      expect(counted).toBeGreaterThanOrEqual(20);
    },
    120_000,
  );

  scenario(
    { proves, role: "initiator" },
    "lets us into strongSwan, which knows us by our EAP identity, and traffic flows",
    async () => {
      const { ours, theirs, counted } = await up(called, "ours");
      expect(theirs).toMatchObject({ localId: THEIRS, remoteId: DEVICE, remoteEapId: USER });
      expect(ours).toMatchObject({ remoteId: THEIRS, localId: DEVICE });
      expect(counted).toBeGreaterThanOrEqual(20);
    },
    120_000,
  );
});

describe("refused", () => {
  const errorOf = (id: string): Promise<LastError> =>
    eventually(`${id} says what went wrong`, async () => {
      const { lastError, childErrors } = await agent.peer(id);
      return lastError ?? Object.values(childErrors)[0];
    });

  scenario(
    { proves: [8, 14], role: "responder" },
    "a wrong password, an unknown user and a method that is not ours, with both sides' values",
    async () => {
      for (const [{ it }, wanted, theirLog] of [
        [
          refusals.wrongPassword,
          {
            code: "ike/eap-credentials",
            message: /wrong password for "bob"/,
            theirs: `${DEVICE} by EAP-MSCHAPv2 as bob`,
          },
          /ERROR_AUTHENTICATION_FAILURE/,
        ],
        [
          refusals.stranger,
          {
            code: "ike/eap-credentials",
            message: /no user "eve@example.org"/,
            theirs: `${DEVICE} by EAP-GTC as eve@example.org`,
          },
          /EAP_FAILURE/,
        ],
        [
          refusals.otherMethod,
          { code: "ike/eap-no-method", message: /none of our methods/, theirs: `${DEVICE} by EAP-MD5` },
          /EAP_FAILURE/,
        ],
      ] as const) {
        await markLogs();
        await expect(peer.initiate(`${it.id}-net`)).rejects.toThrow(/refused initiate/);
        const error = await errorOf(it.id);
        expect(error).toMatchObject({ ...wanted, message: expect.stringMatching(wanted.message) });
        expect(error.ours).toBeTruthy();
        await logged(agent, new RegExp(wanted.code));
        await logged(peer, theirLog);
        expect(await peer.listSas(it.id)).toEqual([]);
      }
    },
    120_000,
  );

  scenario(
    { proves: [8, 14], role: "initiator" },
    "we, for a wrong password and a name that strongSwan does not know",
    async () => {
      for (const { it } of [refusals.wrongPasswordThere, refusals.strangerThere]) {
        await agent.ask("up", { tunnel: it.id, child: `${it.id}-net` }).catch(() => undefined);
        const error = await errorOf(it.id);
        expect(error).toMatchObject({ code: "ike/eap-refused", exchange: "IKE_AUTH", theirs: "EAP-Failure" });
        expect(error.ours).toMatch(/@example\.org by EAP-(MSCHAPv2|MD5)/);
        await agent.ask("down", { tunnel: it.id });
        expect(await peer.listSas(it.id)).toEqual([]);
      }
      const all = await agent.wholeLog();
      expect(all).not.toContain("a guess");
      expect(all).not.toContain(PASSWORD);
    },
    120_000,
  );

  scenario(
    { proves: [8, 14], role: "responder" },
    "by a client that does not trust our certificate, which we say",
    async () => {
      const { it } = refusals.untrusting;
      await expect(peer.initiate(`${it.id}-net`)).rejects.toThrow(/refused initiate/);
      expect(await errorOf(it.id)).toMatchObject({
        message: "the peer does not trust this end",
        theirs: "AUTHENTICATION_FAILED",
      });
    },
    120_000,
  );

  scenario(
    { proves: 20, role: "initiator" },
    "a server of TLS 1.3 that does not say that it has accepted us (RFC 9190 §2.1.1)",
    async () => {
      const { it } = refusals.noIndication;
      await agent.ask("up", { tunnel: it.id, child: `${it.id}-net` }).catch(() => undefined);
      expect(await errorOf(it.id)).toMatchObject({
        code: "ike/eap-unexpected",
        message: expect.stringMatching(/EAP-TLS/),
      });
      await logged(peer, /negotiated TLS 1\.3/);
      await agent.ask("down", { tunnel: it.id });
    },
    120_000,
  );
});

describe("a certificate in EAP-TLS that we refuse", () => {
  const why = (id: string) => eventually(`${id} says why`, async () => (await agent.peer(id)).lastError);

  scenario(
    { proves: [14, 20], role: "responder" },
    "of a client: a TLS alert tells it (RFC 5216 §2.1.3)",
    async () => {
      const { it } = refusals.strangersCertificate;
      await expect(peer.initiate(`${it.id}-net`)).rejects.toThrow(/refused initiate/);
      expect(await why(it.id)).toMatchObject({
        code: "ike/eap-tls",
        message: expect.stringMatching(/certificate|anchor/),
      });
      await logged(peer, /received fatal TLS alert 'unknown ca'/);
      expect(await peer.listSas(it.id)).toEqual([]);
    },
    120_000,
  );

  scenario(
    { proves: [14, 20], role: "initiator" },
    "of a server: a TLS alert tells it too",
    async () => {
      const { it } = refusals.otherServer;
      await agent.ask("up", { tunnel: it.id, child: `${it.id}-net` });
      expect(await why(it.id)).toMatchObject({ code: "ike/eap-tls", message: expect.stringMatching(/does not prove/) });
      await logged(peer, /received fatal TLS alert 'access denied'/);
      await agent.ask("down", { tunnel: it.id });
      expect(await peer.listSas(it.id)).toEqual([]);
    },
    120_000,
  );
});

describe("EAP alone", () => {
  const up = async ({ it }: Case, starter: "ours" | "theirs") => {
    await pair.up(it, starter);
    await pair.both(it);
    await flows(it);
    // IDr stands beside the first EAP request, and no CERT or AUTH.
    await logged(peer, /IKE_AUTH response 1 \[ IDr EAP/);
  };

  scenario(
    { proves: [20, 32], role: "responder" },
    "lets strongSwan in without a certificate of IKE",
    () => up(alone.served, "theirs"),
    120_000,
  );

  scenario(
    { proves: [20, 32], role: "initiator" },
    "lets us into strongSwan, which shows none either",
    () => up(alone.called, "ours"),
    120_000,
  );
});

it("two of ours prove themselves by EAP-TLS with TLS 1.3 alone", async () => {
  await branch.ask("up", { tunnel: BRANCH.id, child: `${BRANCH.id}-net` });
  const [here, there] = await Promise.all([agent.established(BRANCH.id), branch.established(BRANCH.id)]);
  expect(here).toMatchObject({ user: USER, spiInitiator: there.spiInitiator, remoteId: DEVICE, localId: OURS });
  await eventually(
    "replies through it",
    async () =>
      (await ping(NS.ours, BRANCH.theirs.host, { source: BRANCH.ours.host, count: 5, waitMs: 1_000 })).received === 5 ||
      undefined,
  );
}, 120_000);
