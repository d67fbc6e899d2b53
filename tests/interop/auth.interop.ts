import type { CertificateReference, ConnectionIntent } from "@sallyport/intent";
import { Secret } from "@sallyport/intent";
import { createAuthority, eventually, logged, type PeerConnection } from "@sallyport/testkit";
import { cableTopology, cableTunnel } from "./cable.js";
import { againstStrongswan } from "./daemons.js";
import { connectionIntent, gatewayIntent, peerConnection, type TunnelCase } from "./lab.js";
import { STARTED_BY, scenario } from "./scenario.js";
import type { ScenarioNumber } from "./scenarios.js";

const NS = { ours: "sp-auth-ours", theirs: "sp-auth-theirs" };
const OURS = "ours.test";
const THEIRS = "theirs.test";
const PSK = "a secret between two";
const PPK = "a secret that outlives quantum computers";

const fqdn = (value: string) => ({ type: "fqdn", value }) as const;
const secretly = (identity: string) =>
  ({ method: "psk", identity: fqdn(identity), keyId: "psk", secret: new Secret(PSK) }) as const;
const trusting = (identity: string) =>
  ({ method: "certificate", identity: fqdn(identity), trustAnchorIds: ["authority"] }) as const;
const certified = { method: "certificate", identity: fqdn(OURS) } as const;

/** All far ends have the same name. */
function tunnel(n: number, id: string): TunnelCase {
  const plain = cableTunnel(n, id, { auth: "certificate" });
  return { ...plain, theirs: { ...plain.theirs, name: THEIRS } };
}

/** What is made anew for each run. */
interface Made {
  /** Of the far end. */
  readonly certificate: string;
  readonly fingerprint: string;
  /** An authority of which the far end alone knows, and our certificates: the usual one, and one of that authority. */
  readonly another: string;
  readonly own: readonly CertificateReference[];
}

interface Case {
  readonly id: string;
  readonly proves: ScenarioNumber;
  readonly ours: Partial<ConnectionIntent> | ((its: Made) => Partial<ConnectionIntent>);
  readonly theirs: (its: Made) => Partial<PeerConnection>;
  /** Who begins; absent: either, in turn. */
  readonly by?: "ours" | "theirs";
  /** What both ends' logs say of how it was proved. */
  readonly says?: RegExp;
  readonly ppk?: boolean;
}

const SIGNED = (auth: string) => ({ local: { auth: "pubkey", id: THEIRS }, remote: { auth, id: OURS } });
const signing = (
  name: "rsa-pss-sha256" | "rsa-pss-sha384" | "rsa-pss-sha512" | "rsa-sha384" | "rsa",
  auth: string,
  says: RegExp,
): Case => ({
  id: name,
  proves: 29,
  ours: { local: { ...certified, signatures: [name] }, peer: { ...trusting(THEIRS), signatures: ["ecdsa-sha256"] } },
  theirs: ({ certificate }) => ({ ...SIGNED(auth), local: { auth: "pubkey", id: THEIRS, certificate } }),
  says,
});

const CASES: readonly Case[] = [
  signing("rsa-pss-sha256", "ike:rsa/pss-sha256", /authentication of 'ours.test' with RSA_EMSA_PSS_SHA2_256/),
  signing("rsa-pss-sha384", "ike:rsa/pss-sha384", /authentication of 'ours.test' with RSA_EMSA_PSS_SHA2_384/),
  signing("rsa-pss-sha512", "ike:rsa/pss-sha512", /authentication of 'ours.test' with RSA_EMSA_PSS_SHA2_512/),
  signing("rsa-sha384", "ike:rsa-sha384", /authentication of 'ours.test' with RSA_EMSA_PKCS1_SHA2_384/),
  {
    ...signing("rsa", "pubkey", /authentication of 'ours.test' with RSA signature/),
    id: "methods-before-rfc7427",
    ours: { local: { ...certified, signatures: ["rsa"] }, peer: { ...trusting(THEIRS), signatures: ["ecdsa-256"] } },
  },
  {
    id: "certificate-and-dn",
    proves: 2,
    ours: { peer: { method: "certificate", identity: { type: "dn", value: "CN=*" }, trustAnchorIds: ["authority"] } },
    theirs: ({ certificate }) => ({
      local: { auth: "pubkey", id: `CN=${THEIRS}`, certificate },
      remote: { auth: "pubkey", id: OURS },
    }),
  },
  {
    // An initiating charon asks for certificates of this connection's authorities alone.
    id: "certificate-by-request-and-its-name",
    proves: 2,
    by: "theirs",
    ours: ({ own }) => ({
      local: { method: "certificate", identity: { type: "auto" }, certificates: own },
      peer: trusting(THEIRS),
    }),
    theirs: ({ certificate, another }) => ({
      local: { auth: "pubkey", id: THEIRS, certificate },
      remote: { auth: "pubkey", id: OURS, authorities: [another] },
    }),
  },
  {
    id: "certificate-known-by-itself-and-shown-if-asked",
    proves: 2,
    ours: ({ fingerprint }) => ({
      peer: { method: "certificate", identity: fqdn(THEIRS), trustAnchorIds: [], fingerprints: [fingerprint] },
    }),
    theirs: ({ certificate }) => ({
      ...SIGNED("pubkey"),
      local: { auth: "pubkey", id: THEIRS, certificate },
      sendCertificate: "ifasked",
    }),
  },
  {
    id: "we-sign-they-share",
    proves: 32,
    ours: { local: certified, peer: secretly(THEIRS) },
    theirs: () => ({ local: { auth: "psk", id: THEIRS }, remote: { auth: "pubkey", id: OURS } }),
  },
  {
    id: "we-share-they-sign",
    proves: 32,
    ours: { local: secretly(OURS), peer: trusting(THEIRS) },
    theirs: ({ certificate }) => ({
      local: { auth: "pubkey", id: THEIRS, certificate },
      remote: { auth: "psk", id: OURS },
    }),
  },
  {
    id: "two-rounds-each",
    proves: 32,
    ours: {
      local: certified,
      localRounds: [secretly(OURS)],
      peer: trusting(THEIRS),
      peerRounds: [secretly(THEIRS)],
    },
    theirs: ({ certificate }) => ({
      local: [
        { auth: "pubkey", id: THEIRS, certificate },
        { auth: "psk", id: THEIRS },
      ],
      remote: [
        { auth: "pubkey", id: OURS },
        { auth: "psk", id: OURS },
      ],
    }),
  },
  {
    id: "two-rounds-of-ours",
    proves: 32,
    ours: { local: certified, localRounds: [secretly(OURS)], peer: trusting(THEIRS) },
    theirs: ({ certificate }) => ({
      local: { auth: "pubkey", id: THEIRS, certificate },
      remote: [
        { auth: "pubkey", id: OURS },
        { auth: "psk", id: OURS },
      ],
    }),
  },
  {
    id: "two-rounds-of-theirs",
    proves: 32,
    ours: { local: certified, peer: trusting(THEIRS), peerRounds: [secretly(THEIRS)] },
    theirs: ({ certificate }) => ({
      local: [
        { auth: "pubkey", id: THEIRS, certificate },
        { auth: "psk", id: THEIRS },
      ],
      remote: { auth: "pubkey", id: OURS },
    }),
  },
  ...(
    [
      ["ppk-required", "ppk", true, true, true],
      ["ppk-optional", "ppk", false, false, true],
      // charon has no PPK of this name and takes NO_PPK_AUTH; as initiator it names none.
      ["ppk-of-another-name", "another", false, undefined, false],
    ] as const
  ).map(
    ([id, name, ours, theirs, used]): Case => ({
      id,
      proves: 37,
      ours: { local: certified, peer: trusting(THEIRS), ppk: { id: name, secret: new Secret(PPK), required: ours } },
      theirs: ({ certificate }) => ({
        ...SIGNED("pubkey"),
        local: { auth: "pubkey", id: THEIRS, certificate },
        ...(theirs !== undefined && { ppk: { id: "ppk", required: theirs } }),
      }),
      ppk: used,
    }),
  ),
  {
    id: "ppk-beside-a-psk",
    proves: 37,
    ours: {
      local: secretly(OURS),
      peer: secretly(THEIRS),
      ppk: { id: "ppk", secret: new Secret(PPK), required: false },
    },
    theirs: () => ({
      local: { auth: "psk", id: THEIRS },
      remote: { auth: "psk", id: OURS },
      ppk: { id: "ppk", required: false },
    }),
    ppk: true,
  },
];

const REFUSED: readonly Case[] = [
  {
    id: "ppk-mismatch",
    proves: 37,
    ours: { local: certified, peer: trusting(THEIRS), ppk: { id: "another", secret: new Secret(PPK) } },
    theirs: ({ certificate }) => ({
      ...SIGNED("pubkey"),
      local: { auth: "pubkey", id: THEIRS, certificate },
      ppk: { id: "ppk", required: true },
    }),
  },
  {
    id: "second-round-missing",
    proves: 32,
    ours: { local: certified, peer: trusting(THEIRS), peerRounds: [secretly(THEIRS)] },
    theirs: ({ certificate }) => ({ ...SIGNED("pubkey"), local: { auth: "pubkey", id: THEIRS, certificate } }),
  },
];

const ALL = [...CASES, ...REFUSED].map((it, i) => ({ ...it, tunnel: tunnel(i + 1, it.id) }));
const GOOD = ALL.slice(0, CASES.length);
const BAD = ALL.slice(CASES.length);

/** Each far end is one peer, though all have the same name. */
function fromItsAddress(t: TunnelCase): ConnectionIntent {
  const intent = connectionIntent(t);
  // To the far end all are one name's, so a first contact of one would end the others.
  return { ...intent, remote: { ...intent.remote, from: [`${t.theirs.address}/32`] }, initialContact: false };
}

const topology = cableTopology(
  NS,
  ALL.map((t) => t.tunnel),
);
const lab = againstStrongswan(NS, topology).forFile(async () => {
  const authority = await createAuthority("authority", "ecdsa");
  const below = await authority.subordinate("below", "rsa");
  const own = await below.issue(OURS, "rsa");
  const theirs = await authority.issue(THEIRS, "ecdsa");
  const another = await createAuthority("another", "ecdsa");
  const second = await another.issue(OURS, "ecdsa");
  const made: Made = {
    certificate: theirs.certificate,
    fingerprint: theirs.fingerprint,
    another: another.certificate,
    own: [own, second].map(({ fingerprint }) => ({ fingerprint, intermediates: [] })),
  };
  const intent = gatewayIntent(OURS, [], { own, authority });
  return {
    peer: {
      authorities: [authority.certificate, another.certificate],
      privateKeys: [theirs.privateKey],
      secrets: [
        { owners: [THEIRS, OURS], secret: PSK },
        { type: "PPK", owners: ["ppk"], secret: PPK },
      ],
      connections: ALL.map((t) => ({ ...peerConnection(t.tunnel, theirs), ...t.theirs(made) })),
    },
    agent: {
      // The intermediate goes along, since the peer has but the root.
      credential: { ...own, certificate: `${own.certificate.trimEnd()}\n${below.certificate}` },
      moreCredentials: [{ ...second, certificate: `${second.certificate.trimEnd()}\n${another.certificate}` }],
      intent: {
        ...intent,
        connections: ALL.map((t) => ({
          ...fromItsAddress(t.tunnel),
          ...(typeof t.ours === "function" ? t.ours(made) : t.ours),
        })),
      },
    },
  };
});

for (const by of ["ours", "theirs"] as const) {
  describe(`${by} begins`, () => {
    for (const { id, proves, tunnel: t, says, ppk } of GOOD.filter((c) => c.by === undefined || c.by === by)) {
      scenario(
        { proves, role: STARTED_BY[by] },
        id,
        async () => {
          await lab.pair.up(t, by);
          const ends = await lab.pair.both(t);
          expect(await lab.pair.ping(t, 10)).toMatchObject({ sent: 10, received: 10 });
          if (says) await logged(lab.peer, says);
          if (ppk !== undefined) {
            expect(ends.theirs.ppk).toBe(ppk);
            expect(ends.ours.ppk).toBe(ppk ? "ppk" : undefined);
          }
          await lab.agent.ask("down", { tunnel: t.id });
          await lab.pair.gone(t);
        },
        120_000,
      );
    }

    for (const { id, proves, tunnel: t } of BAD) {
      scenario(
        { proves, role: STARTED_BY[by] },
        `${id} is refused, with both sides' values`,
        async () => {
          await lab.pair.up(t, by).catch(() => undefined);
          const error = await eventually("the agent tells why", async () => (await lab.agent.peer(t.id))?.lastError);
          expect(error.code).toMatch(/ike\/(ppk-mismatch|authentication-failed)/);
          expect([error.ours, error.theirs].join()).toMatch(/PPK|round/);
          expect((await lab.agent.peer(t.id))?.sas.filter((sa) => sa.state === "established")).toEqual([]);
          await lab.agent.ask("down", { tunnel: t.id });
        },
        120_000,
      );
    }
  });
}
