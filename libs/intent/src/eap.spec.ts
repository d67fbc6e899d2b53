import { IpAddress } from "@sallyport/base";
import { OWN_CREDENTIAL } from "../testing/credential.js";
import { fleet } from "../testing/fleets.js";
import { compile } from "./compile.js";
import { diffIntent } from "./diff.js";
import { mschapVerifier } from "./engine-auth.js";
import { toIkeConfig } from "./engine-config.js";
import type { LocalFacts } from "./local-facts.js";
import type { ConnectionIntent, EapUserSetIntent, GatewayIntent, LocalAuth, PeerAuth } from "./model.js";
import { parseIntent } from "./parse.js";
import { Secret } from "./secret.js";
import { maskIntent, serializeIntent } from "./serialize.js";

const HERE = IpAddress.parse("203.0.113.1");
const facts: LocalFacts = {
  credential: () => OWN_CREDENTIAL,
  resolved: new Map(),
  localAddress: () => HERE,
  ownAddresses: [HERE],
  ownNetworks: [],
  forcesEncapsulation: false,
};
const utf8 = (text: string) => new TextEncoder().encode(text);
const base = compile(fleet(), "gw-hq");
const anchor = base.trustAnchors[0]?.id ?? "";
const GATEWAY = { type: "fqdn", value: "vpn.example.org" } as const;
const ALICE = { type: "email", value: "alice@example.org" } as const;
const STAFF: EapUserSetIntent = {
  id: "staff",
  users: [
    { name: "alice@example.org", secret: new Secret("correct horse") },
    { name: "__proto__", secret: new Secret("0x41") },
  ],
};
const SERVES: PeerAuth = {
  method: "eap",
  identity: { type: "any" },
  methods: ["tls", "mschapv2"],
  userSetId: "staff",
  trustAnchorIds: [anchor],
  user: "*@example.org",
};
const CLIENT: LocalAuth = {
  method: "eap",
  identity: ALICE,
  methods: ["mschapv2"],
  secret: new Secret("correct horse"),
};
const PROVEN: PeerAuth = { method: "certificate", identity: GATEWAY, trustAnchorIds: [anchor] };

function intent(change: Partial<ConnectionIntent>, eapUsers: readonly EapUserSetIntent[] = [STAFF]): GatewayIntent {
  return { ...base, eapUsers, connections: [{ ...(base.connections[0] as ConnectionIntent), ...change }] };
}
const serving = (peer: Partial<PeerAuth> = {}, change: Partial<ConnectionIntent> = {}) =>
  intent({
    role: "responder",
    remote: { ports: { ike: 500, natt: 4500 } },
    local: { method: "certificate", identity: GATEWAY },
    peer: { ...SERVES, ...peer } as PeerAuth,
    ...change,
  });
const calling = (local: Partial<LocalAuth> = {}, change: Partial<ConnectionIntent> = {}) =>
  intent({
    role: "initiator",
    remote: { host: "198.51.100.9", ports: { ike: 500, natt: 4500 } },
    local: { ...CLIENT, ...local } as LocalAuth,
    peer: PROVEN,
    ...change,
  });
const parsed = (value: GatewayIntent) => parseIntent(serializeIntent(value));
const engine = (value: GatewayIntent, own = facts) => toIkeConfig(parsed(value), own);

describe("EAP in an intent", () => {
  test("serves callers by the methods in their order, with the users by name", () => {
    const { config } = engine(serving());
    expect(config.peers[0]?.remoteAuth).toEqual([
      {
        method: "eap",
        identity: { match: "any" },
        user: "*@example.org",
        eap: {
          methods: ["tls", "mschapv2"],
          identity: "ask",
          users: "staff",
          tls: {
            key: "own",
            chain: [Uint8Array.of(1)],
            trust: [expect.objectContaining({ ref: anchor })],
            versions: { min: "1.2", max: "1.3" },
          },
        },
      },
    ]);
    expect(config.eapUsers?.get("staff")?.get("alice@example.org")).toEqual(utf8("correct horse"));
    // What looks like hex is a password all the same.
    expect(config.eapUsers?.get("staff")?.get("__proto__")).toEqual(utf8("0x41"));
  });

  test("takes IDi for the user where it says so", () => {
    const { config } = engine(serving({ askIdentity: false } as Partial<PeerAuth>));
    expect(config.peers[0]?.remoteAuth[0]).toMatchObject({ eap: { identity: "ike" } });
  });

  test("calls as a client, under its identity or another name", () => {
    const { config } = engine(calling());
    expect(config.peers[0]?.localAuth).toEqual([
      {
        method: "eap",
        identity: { type: "email", name: "alice@example.org" },
        eap: { methods: ["mschapv2"], identity: "alice@example.org", password: utf8("correct horse") },
      },
    ]);
    expect(engine(calling({ user: "CORP\\alice" } as Partial<LocalAuth>)).config.peers[0]?.localAuth[0]).toMatchObject({
      eap: { identity: "CORP\\alice" },
    });
  });

  test("shows its certificate to a server that has to prove its name, and waits for one", () => {
    const tls = calling({
      methods: ["tls"],
      trustAnchorIds: [anchor],
      tlsVersions: { min: "1.3", max: "1.3" },
    } as never);
    expect(engine(tls).config.peers[0]?.localAuth[0]).toMatchObject({
      eap: {
        tls: { key: "own", server: { type: "fqdn", name: "vpn.example.org" }, versions: { min: "1.3", max: "1.3" } },
      },
    });
    const bare = { ...facts, credential: () => undefined };
    expect(engine(tls, bare)).toMatchObject({ config: { peers: [] } });
    expect([...engine(tls, bare).missing.values()][0]).toMatchObject({ code: "intent/missing-fact" });
    expect(engine(calling(), bare).config.peers).toHaveLength(1);
  });

  test("proves both ends by EAP-TLS alone", () => {
    const tls = { method: "eap", identity: ALICE, methods: ["tls"], trustAnchorIds: [anchor] } as const;
    const client = engine(calling({}, { local: tls, peer: { method: "eap", identity: GATEWAY } }));
    expect(client.config.peers[0]).toMatchObject({
      localAuth: [{ method: "eap", eap: { methods: ["tls"] } }],
      remoteAuth: [{ method: "eap", identity: { match: "is" } }],
    });
    expect(client.config.peers[0]?.remoteAuth[0]).not.toHaveProperty("eap");
    const server = engine(serving({ methods: ["tls"] } as never, { local: { method: "eap", identity: GATEWAY } }));
    expect(server.config.peers[0]?.localAuth).toEqual([
      { method: "eap", identity: { type: "fqdn", name: "vpn.example.org" } },
    ]);
  });

  test.each<[string, GatewayIntent, string]>([
    ["an unknown method", serving({ methods: ["peap"] } as never), "peer.methods[0]"],
    ["a method twice", serving({ methods: ["tls", "tls"] } as never), "peer.methods"],
    ["no users", serving({ userSetId: undefined } as never), "peer.userSetId"],
    ["users that are not there", serving({ userSetId: "guests" } as never), "peer.userSetId"],
    ["nobody to believe", serving({ trustAnchorIds: undefined } as never), "peer.trustAnchorIds"],
    ["an unknown anchor", serving({ trustAnchorIds: ["nobody"] } as never), "peer.trustAnchorIds[0]"],
    ["versions the wrong way round", serving({ tlsVersions: { min: "1.3", max: "1.2" } } as never), "peer.tlsVersions"],
    [
      "a server that calls",
      serving({}, { role: "both", remote: { ...calling().connections[0]?.remote } as never }),
      "role",
    ],
    ["a client that is called", calling({}, { role: "both" }), "role"],
    ["a client without a password", calling({ secret: undefined } as never), "local.secret"],
    ["a client that believes nobody", calling({ methods: ["tls"] } as never), "local.trustAnchorIds"],
    ["passwords before any proof", calling({}, { peer: { method: "eap", identity: GATEWAY } }), "local.methods"],
    [
      "passwords from whom it has not proven itself to",
      serving({}, { local: { method: "eap", identity: GATEWAY } }),
      "peer.methods",
    ],
    [
      "EAP alone with nothing to serve",
      serving({}, { local: { method: "eap", identity: GATEWAY }, peer: PROVEN }),
      "peer.method",
    ],
    [
      "EAP alone with nothing to say",
      calling({}, { local: { method: "certificate", identity: ALICE }, peer: { method: "eap", identity: GATEWAY } }),
      "local.method",
    ],
  ])("is refused with %s", (_what, value, field) => {
    expect(() => parsed(value)).toThrow(
      expect.objectContaining({ code: "intent/invalid-field", field: `connections[0].${field}` }),
    );
  });

  test("is refused with a user or a set named twice, and shows no password", () => {
    const twice = [...STAFF.users, { name: "alice@example.org", secret: new Secret("another") }];
    expect(() => parsed(intent({}, [{ id: "staff", users: twice }]))).toThrow(
      expect.objectContaining({ field: "eapUsers[0].users[2].name" }),
    );
    expect(() => parsed(intent({}, [STAFF, STAFF]))).toThrow(expect.objectContaining({ field: "eapUsers[1].id" }));
    const empty = { ...STAFF, users: [{ name: "bob", secret: new Secret("") }] };
    expect(() => parsed(intent({}, [empty]))).toThrow(
      expect.objectContaining({ field: "eapUsers[0].users[0].secret", value: "***" }),
    );
    expect(maskIntent(serving())).not.toContain("correct horse");
  });

  test("changes of users touch no tunnel, and say no password", () => {
    const changed = { ...STAFF, users: [{ name: "alice@example.org", secret: new Secret("new") }] };
    const diff = diffIntent(parsed(serving()), parsed({ ...serving(), eapUsers: [changed] }));
    expect(diff.connections).toEqual([]);
    expect(diff.fields).toEqual([
      { field: "eapUsers.staff.__proto__", from: "***", to: undefined },
      { field: "eapUsers.staff.alice@example.org", from: "***", to: "***" },
    ]);
    const methods = diffIntent(parsed(serving()), parsed(serving({ methods: ["tls"] } as never)));
    expect(methods.connections[0]).toMatchObject({ impact: "untouched", fields: [{ field: "peer.methods" }] });
  });

  test("knows users by the NT hash of their password, for methods that need no more", () => {
    const secret = mschapVerifier("clientPass");
    // RFC 2759 §9.2: PasswordHash of "clientPass".
    expect(secret.reveal()).toBe("44ebba8d5312b8d611474411f56989ae");
    const hashed = [{ id: "staff", users: [{ name: "User", secret, verifier: "nt-hash" as const }] }];
    const value = { ...serving(), eapUsers: hashed };
    expect(engine(value).config.eapUsers?.get("staff")?.get("User")).toEqual({
      ntHash: Uint8Array.from(Buffer.from(secret.reveal(), "hex")),
    });
    expect(maskIntent(value)).not.toContain(secret.reveal());
    expect(() => parsed({ ...serving({ methods: ["gtc"] } as never), eapUsers: hashed })).toThrow(
      expect.objectContaining({ field: "connections[0].peer.methods" }),
    );
    const short = [
      { id: "staff", users: [{ name: "User", secret: new Secret("44eb"), verifier: "nt-hash" as const }] },
    ];
    expect(() => parsed({ ...serving(), eapUsers: short })).toThrow(
      expect.objectContaining({ field: "eapUsers[0].users[0].secret", value: "***" }),
    );
  });

  test("takes thousands of users", () => {
    const users = Array.from({ length: 10_000 }, (_, i) => ({ name: `user${i}`, secret: new Secret(`password ${i}`) }));
    const { config } = toIkeConfig(parsed(intent({}, [{ id: "staff", users }])), facts);
    expect(config.eapUsers?.get("staff")?.get("user9999")).toEqual(utf8("password 9999"));
  });
});
