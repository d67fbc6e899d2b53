import type { LastError } from "@sallyport/ike";
import {
  type ConnectionIntent,
  type EapUserSetIntent,
  type GatewayIntent,
  type PeerEap,
  Secret,
} from "@sallyport/intent";
import {
  type Agent,
  type Authority,
  type Credential,
  createAuthority,
  eventually,
  layOut,
  type PeerAuthentication,
  type PeerConnection,
  remove,
  type Strongswan,
  startAgent,
  startStrongswan,
  type Topology,
} from "@sallyport/testkit";
import { connectionIntent, DATA_PLANE, Pair, PEER_DATA_PLANE, peerConnection, type TunnelCase } from "./lab.js";
import { scenario } from "./scenario.js";
import type { ScenarioNumber } from "./scenarios.js";

const NS = { ours: "sp-eap-ours", theirs: "sp-eap-theirs" };
/** The servers' names; the user of either end's client. */
const OURS = "gateway.test";
const THEIRS = "theirs.test";
const USER = "alice@example.org";
/** What a client calls itself in IDi: who it is, EAP says. */
const DEVICE = "laptop.test";
const PASSWORD = "correct horse battery staple €";

interface Way {
  readonly name: string;
  readonly method: "mschapv2" | "md5" | "gtc" | "tls";
  readonly proves: ScenarioNumber;
  readonly tls?: Pick<PeerEap, "tlsVersions"> | undefined;
}
const TLS_12 = { tlsVersions: { min: "1.2", max: "1.2" } } as const;
const TLS_13 = { tlsVersions: { min: "1.3", max: "1.3" } } as const;
const WAYS: readonly Way[] = [
  { name: "mschapv2", method: "mschapv2", proves: 8 },
  { name: "md5", method: "md5", proves: 8 },
  { name: "gtc", method: "gtc", proves: 8 },
  { name: "tls", method: "tls", proves: 20, tls: TLS_12 },
];

/** Every connection has an address of the far end and networks of its own. */
const tunnel = (n: number, id: string): TunnelCase => ({
  id,
  auth: "certificate",
  ours: { name: OURS, address: "192.0.2.1", subnet: `10.1.${n}.0/24`, host: `10.1.${n}.1` },
  theirs: { name: THEIRS, address: `192.0.2.${10 + n}`, subnet: `10.2.${n}.0/24`, host: `10.2.${n}.1` },
  ike: ["aes256-sha256-x25519"],
  esp: ["aes256gcm16"],
});

interface Case {
  readonly it: TunnelCase;
  readonly intent: ConnectionIntent;
  readonly peer: PeerConnection;
}

const fqdn = (value: string) => ({ type: "fqdn", value }) as const;
const TRUST = { trustAnchorIds: ["authority"] };

/** We serve EAP and prove ourselves by a certificate; strongSwan calls. */
function serving(
  n: number,
  id: string,
  { method, tls }: Pick<Way, "method" | "tls">,
  theirs: Partial<PeerAuthentication> = {},
): Case {
  const it = tunnel(n, id);
  const connection = peerConnection(it);
  return {
    it,
    intent: {
      ...connectionIntent(it),
      role: "responder",
      remote: { from: [`${it.theirs.address}/32`], ports: { ike: 500, natt: 4500 } },
      local: { method: "certificate", identity: fqdn(OURS) },
      peer: {
        method: "eap",
        identity: { type: "any" },
        methods: [method],
        ...(method === "tls" ? { ...TRUST, ...tls } : { userSetId: "staff" }),
      },
    },
    peer: {
      ...connection,
      local: {
        auth: `eap-${method}`,
        id: DEVICE,
        eapId: USER,
        ...(method === "tls" && { certificate: user.certificate }),
        ...theirs,
      },
      remote: { auth: "pubkey", id: OURS },
    },
  };
}

/** strongSwan serves EAP; we call, and say who we are only once it has proven itself. */
function calling(
  n: number,
  id: string,
  { method, tls }: Pick<Way, "method" | "tls">,
  password = PASSWORD,
  name = USER,
): Case {
  const it = tunnel(n, id);
  const connection = peerConnection(it);
  return {
    it,
    intent: {
      ...connectionIntent(it),
      role: "initiator",
      local: {
        method: "eap",
        identity: fqdn(DEVICE),
        user: name,
        methods: [method],
        ...(method === "tls" ? { ...TRUST, ...tls } : { secret: new Secret(password) }),
      },
      peer: { method: "certificate", identity: fqdn(THEIRS), ...TRUST },
    },
    peer: {
      ...connection,
      local: { auth: "pubkey", id: THEIRS, certificate: server.certificate },
      remote: { auth: `eap-${method}`, id: "%any", eapId: "%any" },
    },
  };
}

/** No end shows a certificate of IKE: EAP proves both (RFC 5998). `end`: of our intent, the server. */
function inNamesOnly({ it, intent, peer: theirs }: Case, end: "local" | "peer"): Case {
  const identity = fqdn(end === "local" ? OURS : THEIRS);
  const bare =
    end === "local"
      ? ({ local: { method: "eap", identity } } as const)
      : ({ peer: { method: "eap", identity } } as const);
  const [local, remote] = [theirs.local, theirs.remote] as [PeerAuthentication, PeerAuthentication];
  const peers = end === "local" ? { remote: { ...remote, auth: "eap-tls" } } : { local: { ...local, auth: "eap-tls" } };
  return { it, intent: { ...intent, ...bare }, peer: { ...theirs, ...peers } };
}

let authority: Authority;
/** strongSwan's as a server, and the user's at either end. */
let server: Credential;
let user: Credential;
let agent: Agent;
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
  readonly noIndication: Case;
};
let alone: { readonly served: Case; readonly called: Case };

const users = (...pairs: readonly (readonly [string, string])[]): EapUserSetIntent => ({
  id: "staff",
  users: pairs.map(([name, secret]) => ({ name, secret: new Secret(secret) })),
});

function intentOf(own: Credential, cases: readonly Case[]): GatewayIntent {
  return {
    schema: 1,
    revision: 1,
    gateway: { id: "ours", name: "ours" },
    identity: fqdn(OURS),
    ports: { ike: 500, natt: 4500 },
    certificate: { fingerprint: own.fingerprint, intermediates: [] },
    trustAnchors: [{ id: "authority", der: authority.der.toString("base64") }],
    eapUsers: [users([USER, PASSWORD], ["bob", "another"])],
    connections: cases.map((c) => c.intent),
    options: { commitConfirmSeconds: 60, reportSeconds: 5 },
  };
}

const ADDRESSES = Array.from({ length: 16 }, (_, n) => `192.0.2.${10 + n}/24`);
const TOPOLOGY: Topology = {
  namespaces: [
    { name: NS.ours, loopback: Array.from({ length: 16 }, (_, n) => `10.1.${n}.1/32`) },
    { name: NS.theirs, loopback: Array.from({ length: 16 }, (_, n) => `10.2.${n}.1/32`) },
  ],
  cables: [
    [
      { namespace: NS.ours, device: "wan", addresses: ["192.0.2.1/24"] },
      { namespace: NS.theirs, device: "wan", addresses: ADDRESSES },
    ],
  ],
};

beforeAll(async () => {
  await remove(TOPOLOGY);
  await layOut(TOPOLOGY);
  authority = await createAuthority("EAP lab", "rsa");
  // Our gateway's certificate is also what it shows as a client of EAP-TLS, so it proves the user's name.
  const own = await authority.issue([OURS, USER], "rsa");
  [server, user] = await Promise.all([authority.issue(THEIRS, "rsa"), authority.issue(USER, "rsa")]);
  served = WAYS.map((way, n) => ({ ...way, ...serving(n, `serve-${way.name}`, way) }));
  called = WAYS.map((way, n) => ({ ...way, ...calling(4 + n, `call-${way.name}`, way) }));
  refusals = {
    wrongPassword: serving(8, "wrong-password", { method: "mschapv2" }, { eapId: "bob" }),
    stranger: serving(9, "stranger", { method: "gtc" }, { eapId: "eve@example.org" }),
    otherMethod: serving(10, "other-method", { method: "mschapv2" }, { auth: "eap-md5" }),
    wrongPasswordThere: calling(11, "wrong-password-there", { method: "mschapv2" }, "a guess"),
    strangerThere: calling(12, "stranger-there", { method: "md5" }, PASSWORD, "eve@example.org"),
    noIndication: calling(13, "no-indication", { method: "tls", tls: TLS_13 }),
  };
  alone = {
    served: inNamesOnly(serving(14, "serve-alone", { method: "tls", tls: TLS_12 }), "local"),
    called: inNamesOnly(calling(15, "call-alone", { method: "tls", tls: TLS_12 }), "peer"),
  };
  const cases = [...served, ...called, ...Object.values(refusals), ...Object.values(alone)];
  peer = await startStrongswan({
    namespace: NS.theirs,
    dataPlane: PEER_DATA_PLANE,
    tls: { version_max: "1.3" },
    plugins: ["md5", "eap-identity", "eap-md5", "xauth-generic", "eap-gtc", "eap-mschapv2", "eap-tls"],
    pluginSettings: { "eap-gtc": { backend: "generic" } },
    authorities: [authority.certificate],
    privateKeys: [server.privateKey, user.privateKey],
    secrets: [
      { type: "EAP", owners: [USER], secret: PASSWORD },
      { type: "EAP", owners: ["bob"], secret: "not bob's" },
      { type: "EAP", owners: ["eve@example.org"], secret: "whatever" },
    ],
    connections: cases.map((c) => c.peer),
  });
  agent = await startAgent({
    namespace: NS.ours,
    dataPlane: DATA_PLANE,
    credential: own,
    intent: intentOf(own, cases),
  });
  pair = new Pair(agent, peer, NS);
}, 60_000);
afterAll(async () => {
  await Promise.all([peer?.stop(), agent?.stop()]);
  await remove(TOPOLOGY);
}, 30_000);

/** How much is lost under which load is the business of other tests. */
async function flows(it: TunnelCase): Promise<void> {
  await eventually("twenty replies", async () => (await pair.ping(it, 20)).received === 20 || undefined);
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
    30_000,
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
    30_000,
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
        await expect(peer.initiate(`${it.id}-net`, 5000)).rejects.toThrow(/refused initiate/);
        const error = await errorOf(it.id);
        expect(error).toMatchObject({ ...wanted, message: expect.stringMatching(wanted.message) });
        expect(error.ours).toBeTruthy();
        expect(await agent.log(400)).toContain(wanted.code);
        expect(await peer.log(60)).toMatch(theirLog);
        expect(await peer.listSas(it.id)).toEqual([]);
      }
    },
    40_000,
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
      expect(await agent.log(1000)).not.toContain("a guess");
      expect(await agent.log(1000)).not.toContain(PASSWORD);
    },
    40_000,
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
      expect(await peer.log(200)).toContain("negotiated TLS 1.3");
      await agent.ask("down", { tunnel: it.id });
    },
    20_000,
  );
});

describe("EAP alone", () => {
  const up = async ({ it }: Case, starter: "ours" | "theirs") => {
    await pair.up(it, starter);
    await pair.both(it);
    await flows(it);
    // IDr stands beside the first EAP request, and no CERT or AUTH.
    expect(await peer.log(300)).toMatch(/IKE_AUTH response 1 \[ IDr EAP/);
  };

  scenario(
    { proves: [20, 32], role: "responder" },
    "lets strongSwan in without a certificate of IKE",
    () => up(alone.served, "theirs"),
    20_000,
  );

  scenario(
    { proves: [20, 32], role: "initiator" },
    "lets us into strongSwan, which shows none either",
    () => up(alone.called, "ours"),
    20_000,
  );
});
