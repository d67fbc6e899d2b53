import type { EapTlsJob, EapTlsResult, EapTlsSettings, Failure, Identity, TlsVersion } from "@sallyport/ike";
import { type GatewayIntent, INTENT_SCHEMA } from "@sallyport/intent";
import {
  type Authority,
  converseByEap,
  createAuthority,
  EAP_IDI,
  type EapEnding,
  eapPeerConfig,
  eapServerConfig,
  eventually,
} from "@sallyport/testkit";
import { Credentials } from "./credentials.js";
import { EapTlsRunner } from "./eap-tls.js";

const SERVER: Identity = { type: "fqdn", name: "vpn.example.org" };

/** EAP type and flags, a record's header, the alert; in TLS 1.3 its type and the tag too. */
const ALERT_OCTETS = { "1.2": 2 + 5 + 2, "1.3": 2 + 5 + 2 + 1 + 16 } as const;

let root: Authority;
/** Two CAs below the root. */
let upper: Authority;
let lower: Authority;
let foreign: Authority;

beforeAll(async () => {
  root = await createAuthority("root", "ecdsa");
  upper = await root.subordinate("upper", "rsa");
  lower = await upper.subordinate("lower", "ecdsa");
  foreign = await createAuthority("foreign", "ecdsa");
});

const intent = (...anchors: Authority[]): GatewayIntent => ({
  schema: INTENT_SCHEMA,
  revision: 1,
  gateway: { id: "g", name: "g" },
  identity: { type: "fqdn", value: "g.test" },
  ports: { ike: 500, natt: 4500 },
  trustAnchors: anchors.map((a) => ({ id: a.fingerprint, der: a.der.toString("base64") })),
  connections: [],
  options: { commitConfirmSeconds: 60, reportSeconds: 5 },
});

/** One machine: its runner, and what EAP-TLS is configured with. */
class Machine {
  readonly credentials = new Credentials();
  readonly runner: EapTlsRunner;
  readonly jobs: EapTlsJob[] = [];

  constructor(
    readonly files: { readonly privateKey: string; readonly certificates: string },
    readonly trusted: Authority,
    limits?: ConstructorParameters<typeof EapTlsRunner>[1],
    /** Instead of the certificates of `files`. */
    private readonly chain?: readonly Uint8Array[],
  ) {
    this.credentials.load([files]);
    this.credentials.useAnchors(intent(trusted));
    this.runner = new EapTlsRunner(this.credentials, limits);
  }

  settings(min: TlsVersion, max: TlsVersion): EapTlsSettings {
    const own = this.credentials.credential(undefined);
    if (!own) throw new Error("no credential");
    const trust = [{ ref: this.trusted.fingerprint, keyHash: new Uint8Array(20) }];
    return { key: own.key, chain: this.chain ?? own.chain, trust, versions: { min, max } };
  }

  async run(job: EapTlsJob): Promise<EapTlsResult | Failure> {
    this.jobs.push(job);
    const answer = await this.runner.run(job);
    return answer.ok ? (answer.result as EapTlsResult) : answer.failure;
  }
}

async function machine(
  issuer: Authority,
  name: string,
  { kind = "ecdsa", trusted = root, extra = "" }: { kind?: "rsa" | "ecdsa"; trusted?: Authority; extra?: string } = {},
): Promise<Machine> {
  const { privateKey, certificate } = await issuer.issue(name, kind);
  return new Machine({ privateKey, certificates: `${certificate}\n${extra}` }, trusted);
}

function talk(
  server: Machine,
  peer: Machine,
  versions: readonly [TlsVersion, TlsVersion] = ["1.2", "1.3"],
  seed = "",
): Promise<EapEnding> {
  return converseByEap({
    seed,
    server: eapServerConfig({ methods: ["tls"], tls: server.settings("1.2", "1.3") }),
    peer: eapPeerConfig({ methods: ["tls"], tls: { ...peer.settings(...versions), server: SERVER } }),
    serverProven: false,
    close: (job) => {
      for (const { runner } of [server, peer]) runner.stop(job);
    },
    tls: (job) => {
      const mine = job.open ? job.open.role === "server" : server.jobs.some((j) => j.session === job.session);
      return (mine ? server : peer).run(job);
    },
  });
}

describe("EAP-TLS between two of ours", () => {
  it.each([
    ["1.2", "rsa"],
    ["1.2", "ecdsa"],
    ["1.3", "rsa"],
    ["1.3", "ecdsa"],
  ] as const)("agrees on a key by TLS %s with %s", async (version, kind) => {
    const server = await machine(root, "vpn.example.org", { kind });
    const peer = await machine(root, EAP_IDI.name, { kind });
    const ending = await talk(server, peer, [version, version]);
    expect(ending.server.failed).toBeUndefined();
    expect(ending.peer?.failed).toBeUndefined();
    expect(ending.server.done).toMatchObject({ method: "tls", identity: EAP_IDI.name });
    expect(ending.server.done?.msk?.length).toBe(64);
    expect(ending.peer?.done?.msk).toEqual(ending.server.done?.msk);
    expect([server.runner.size, peer.runner.size]).toEqual([0, 0]);
  });

  it("gives every conversation another key", async () => {
    const server = await machine(root, "vpn.example.org");
    const peer = await machine(root, EAP_IDI.name);
    const endings = await Promise.all(["a", "b", "c"].map((seed) => talk(server, peer, ["1.2", "1.3"], seed)));
    const keys = endings.map((e) => e.server.done?.msk);
    expect(new Set(keys.map((k) => Buffer.from(k ?? []).toString("hex"))).size).toBe(3);
  });

  it.each(["1.2", "1.3"] as const)("carries chains in fragments by TLS %s", async (version) => {
    const extra = `${lower.certificate}\n${upper.certificate}`;
    const server = await machine(lower, "vpn.example.org", { kind: "rsa", extra });
    const peer = await machine(lower, EAP_IDI.name, { kind: "rsa", extra });
    const ending = await talk(server, peer, [version, version]);
    expect(ending.server.done?.msk).toEqual(ending.peer?.done?.msk);
    expect(ending.server.done).toBeDefined();
    expect(Math.max(...ending.packets.map((p) => p.data.length))).toBeLessThanOrEqual(1030);
    expect(ending.packets.some((p) => p.data[1] === 0xc0)).toBe(true);
  });

  it("believes no peer whose certificate proves another name, comes from elsewhere, or is not there", async () => {
    const server = await machine(root, "vpn.example.org");
    const { privateKey, certificate } = await root.issue(EAP_IDI.name, "ecdsa");
    const bareMachine = new Machine({ privateKey, certificates: certificate }, root, undefined, []);
    for (const version of ["1.2", "1.3"] as const) {
      const other = await talk(server, await machine(root, "mallory@example.org"), [version, version]);
      expect(other.server.failed).toMatchObject({ code: "ike/eap-tls", facts: { theirs: "pki/identity-mismatch" } });
      const alien = await talk(server, await machine(foreign, EAP_IDI.name), [version, version]);
      expect(alien.server.failed).toMatchObject({ code: "ike/eap-tls", facts: { theirs: "pki/untrusted" } });
      const bare = await talk(server, bareMachine, [version, version]);
      expect(bare.server.failed).toMatchObject({
        code: "ike/eap-tls",
        message: expect.stringContaining("shown no certificate"),
      });
      for (const { server: s, peer } of [other, alien, bare]) {
        expect(s.done).toBeUndefined();
        expect(peer?.done).toBeUndefined();
      }
    }
    expect([server.runner.size, bareMachine.runner.size]).toEqual([0, 0]);
  });

  it("shows nothing of itself to a server that is not proven", async () => {
    const peer = await machine(root, EAP_IDI.name);
    for (const version of ["1.2", "1.3"] as const) {
      const alien = await machine(foreign, "vpn.example.org", { trusted: root });
      const strange = await talk(alien, peer, [version, version]);
      expect(strange.peer?.failed).toMatchObject({ code: "ike/eap-tls", facts: { theirs: "pki/untrusted" } });
      const misnamed = await talk(await machine(root, "other.example.org"), peer, [version, version]);
      expect(misnamed.peer?.failed).toMatchObject({ facts: { theirs: "pki/identity-mismatch" } });
      // From the server's certificate on it only took fragments, and gave the alert.
      for (const { packets } of [strange, misnamed]) {
        const shown = packets.findIndex((p) => p.code === 1 && p.data[0] === 13 && p.data.length > 2);
        expect(shown).toBeGreaterThan(0);
        const said = packets.slice(shown).filter((p) => p.code === 2 && p.data.length > 2);
        expect(said.map((p) => p.data.length)).toEqual([ALERT_OCTETS[version]]);
      }
    }
    expect(peer.runner.size).toBe(0);
  });

  it.each([
    ["1.2", "tlsv1 alert unknown ca", "tlsv1 alert access denied"],
    ["1.3", "tlsv1 alert unknown ca", "tlsv1 alert access denied"],
  ] as const)(
    "tells by TLS %s why a certificate is refused, by an alert before EAP-Failure",
    async (version, ca, name) => {
      const [server, peer] = [await machine(root, "vpn.example.org"), await machine(root, EAP_IDI.name)];
      const alien = await machine(foreign, EAP_IDI.name, { trusted: root });
      for (const [ending, words] of [
        [await talk(server, alien, [version, version]), ca],
        [await talk(server, await machine(root, "mallory@example.org"), [version, version]), name],
      ] as const) {
        expect(ending.peer?.failed).toMatchObject({ code: "ike/eap-tls", message: expect.stringContaining(words) });
        expect(ending.server).toMatchObject({ failed: { code: "ike/eap-tls" }, send: { code: 4 } });
        const [alert, answer, failure] = ending.packets.slice(-3);
        expect([alert?.code, alert?.data.length]).toEqual([1, ALERT_OCTETS[version]]);
        expect([answer?.code, answer?.data.length, failure?.code]).toEqual([2, 2, 4]);
      }
      for (const [by, words] of [
        [await machine(foreign, "vpn.example.org", { trusted: root }), ca],
        [await machine(root, "other.example.org"), name],
      ] as const) {
        const { server: s, peer: p, packets } = await talk(by, peer, [version, version]);
        expect(s.failed).toMatchObject({ code: "ike/eap-tls", message: expect.stringContaining(words) });
        expect(p?.failed).toMatchObject({ facts: { theirs: expect.stringMatching(/^pki\//) } });
        expect(packets.at(-1)?.code).toBe(4);
      }
      expect([server, peer, alien].map((m) => m.runner.size)).toEqual([0, 0, 0]);
    },
  );

  it("fails with TLS's reason when no version is common, and on garbage", async () => {
    const server = await machine(root, "vpn.example.org");
    const peer = await machine(root, EAP_IDI.name);
    const open = { ...server.settings("1.3", "1.3"), role: "server", prove: EAP_IDI } as const;
    const hello = await peer.run({
      kind: "eap-tls",
      session: "a",
      input: new Uint8Array(),
      open: { ...peer.settings("1.2", "1.2"), role: "peer", prove: undefined },
    });
    const input = "output" in hello ? hello.output : new Uint8Array();
    const refused = await server.run({ kind: "eap-tls", session: "b", input, open });
    expect(refused).toMatchObject({
      refused: { code: "agent/tls", message: expect.stringContaining("unsupported protocol") },
      // A record of one alert: fatal, protocol_version.
      output: Uint8Array.of(21, 3, 3, 0, 2, 2, 70),
    });
    for (const garbage of [Uint8Array.of(1, 2, 3, 4, 5, 6), new Uint8Array(70_000).fill(0x16)]) {
      const answer = await server.run({ kind: "eap-tls", session: "c", input: garbage, open });
      expect(answer).toMatchObject({ refused: { code: "agent/tls" } });
    }
    peer.runner.close();
    server.runner.close();
  });
});

describe("the runner", () => {
  const begin = (m: Machine, session: string): EapTlsJob => ({
    kind: "eap-tls",
    session,
    input: new Uint8Array(),
    open: { ...m.settings("1.2", "1.3"), role: "peer", prove: SERVER },
  });

  it("keeps no more sessions than it may, and forgets those that are dropped or old", async () => {
    const { privateKey, certificate } = await root.issue(EAP_IDI.name, "ecdsa");
    const m = new Machine({ privateKey, certificates: certificate }, root, { sessions: 2, lifetime: 300 });
    await m.run(begin(m, "a"));
    await m.run(begin(m, "b"));
    expect(await m.run(begin(m, "c"))).toMatchObject({ code: "agent/overloaded" });
    m.runner.stop({ kind: "eap-tls-close", session: "a" });
    expect(await m.run(begin(m, "c"))).toMatchObject({ output: expect.anything() });
    await eventually("no session", () => m.runner.size === 0 || undefined);
    expect(await m.run({ kind: "eap-tls", session: "c", input: Uint8Array.of(22) })).toMatchObject({
      code: "agent/tls",
    });
  });

  it("lets other work go on while many conversations begin at once", async () => {
    const m = await machine(root, EAP_IDI.name, { kind: "rsa" });
    let turns = 0;
    let ended = false;
    const count = () => {
      turns++;
      if (!ended) setImmediate(count);
    };
    setImmediate(count);
    await Promise.all(Array.from({ length: 50 }, (_, i) => m.run(begin(m, `s${i}`))));
    ended = true;
    expect(turns).toBeGreaterThanOrEqual(50);
    m.runner.close();
    expect(m.runner.size).toBe(0);
  });

  it("forgets a conversation that is dropped before its turn", async () => {
    const m = await machine(root, EAP_IDI.name);
    const waiting = m.run(begin(m, "a"));
    m.runner.stop({ kind: "eap-tls-close", session: "a" });
    expect(await waiting).toMatchObject({ code: "agent/tls" });
    expect(m.runner.size).toBe(0);
  });

  it("takes no more octets than a conversation may have", async () => {
    const m = await machine(root, EAP_IDI.name);
    await m.run(begin(m, "a"));
    const huge = await m.run({ kind: "eap-tls", session: "a", input: new Uint8Array(300_000) });
    expect(huge).toMatchObject({ refused: { code: "agent/tls" } });
    expect(m.runner.size).toBe(0);
  });

  it("answers with what refuses the key", async () => {
    const m = await machine(root, EAP_IDI.name);
    const { open, ...job } = begin(m, "a");
    expect(await m.run({ ...job, ...(open && { open: { ...open, key: "none" } }) })).toMatchObject({
      code: "agent/no-key",
    });
    expect(m.runner.size).toBe(0);
  });
});
