import { dnFromText, type Identity, type ModeConfig, type PeerConfig } from "@sallyport/ike";
import { ADDRESSES } from "./configs.js";
import { CA, ID_B, Keys, utf8 } from "./eap-lab.spec-helper.js";
import { gateway, ip, MODE_CONFIG, person, text, virtual } from "./road-warrior.spec-helper.js";
import { trusting } from "./sim-keys.js";
import { Simulation } from "./simulation.js";

const [ANN, BOB] = ["ann@example.org", "bob@example.org"];
const OWN = "10.9.0.200";
const SUBJECT = "O=Acme, CN=Ann";
const PASSWORD = utf8.encode("wonderland");

const dn = (name: string): Identity => ({ type: "dn", data: dnFromText(name) as Uint8Array });

interface Shown {
  readonly id?: Identity;
  readonly names?: readonly string[];
  /** Whose password comes after it. */
  readonly password?: string;
}

/** A gateway for Ann and Bob, and devices with certificates that call themselves by their subjects, as Windows does (CLI-06). */
function office({ more = [], both = false }: { readonly more?: ModeConfig["users"]; readonly both?: boolean } = {}) {
  const keys = new Keys();
  const sim = new Simulation(1, keys);
  const b = sim.addPeer("b", ADDRESSES.b);
  const shown = keys.issue(CA, ID_B);
  const certificate = { ...trusting(undefined, CA), identity: { match: "any" } } as const;
  const eap = { methods: ["mschapv2"], identity: "ask", users: "people" } as const;
  const second = { method: "eap", identity: { match: "any" }, eap, samePerson: true } as const;
  const remoteAuth: PeerConfig["remoteAuth"] = both ? [certificate, second] : [certificate];
  const serve = (...names: string[]) => {
    const users = [
      ...names.map((name) => ({
        ...{ identity: { type: "email", name } as const, sas: 1 },
        ...(name === ANN && { addresses: [ip(OWN)] }),
      })),
      ...more,
    ];
    const modeConfig = { ...MODE_CONFIG, users, onlyUsers: true };
    b.configure({
      ...gateway({}, { localAuth: [shown], remoteAuth, uniqueness: "keep", modeConfig }),
      eapUsers: new Map([["people", new Map([ANN, BOB].map((name) => [name, PASSWORD]))]]),
    });
  };
  serve(ANN, BOB);
  let devices = 0;
  const join = ({ id = dn(SUBJECT), names = [ANN], password: whose }: Shown = {}) => {
    const address = `203.0.113.${++devices}`;
    const device = sim.addPeer(`device ${devices}`, address);
    const proof = keys.issue(CA, id, "p256", names);
    const eapClient = { methods: ["mschapv2"], identity: whose ?? "", password: PASSWORD } as const;
    const after = whose === undefined ? [] : [{ method: "eap", identity: id, eap: eapClient } as const];
    device.configure(
      person("", address, {
        initialContact: false,
        ...{ localAuth: [proof, ...after], remoteAuth: [trusting(ID_B, CA)] },
      }),
    );
    sim.run(3);
    return device;
  };
  // Devices try again.
  const refused = () => [...new Set(b.of("auth-failed").map(({ error, refused: who }) => `${error.code} ${who}`))];
  return { sim, b, serve, join, refused };
}

describe("a caller that calls itself by its certificate's subject", () => {
  test("is the user whom the certificate names, with his address and his number of sessions, over rekeys too", () => {
    const { sim, b, join, refused } = office();
    const device = join();
    expect(b.established()).toMatchObject([{ user: ANN, remoteId: SUBJECT }]);
    expect(text(virtual(device)?.local)[0]).toBe(OWN);
    join();
    expect(refused()).toEqual([`ike/too-many-sas ${ANN}`]);
    device.command({ command: "rekey-ike", peer: "b" });
    sim.run(10);
    expect(b.established()).toMatchObject([{ user: ANN }]);
    expect(text(b.established()[0]?.virtual?.remote)[0]).toBe(OWN);
  });

  test("is out as soon as that user is none any more", () => {
    const { sim, b, join, serve } = office();
    join();
    const bob = join({ id: dn("O=Acme, CN=Bob"), names: ["gadget.example.org", BOB] });
    serve(BOB);
    sim.run(20);
    expect(b.established().map((sa) => sa.user)).toEqual([BOB]);
    expect(bob.established()).toHaveLength(1);
  });

  test.each([
    ["names nobody", { names: ["stranger@example.org"] }, SUBJECT],
    ["names several", { names: [ANN, BOB] }, SUBJECT],
    ["calls itself otherwise", { id: { type: "email", name: "carol@example.org" } }, "carol@example.org"],
  ] as const)("is nobody where it %s", (_, shown, who) => {
    const { b, join, refused } = office();
    join(shown);
    expect(b.established()).toEqual([]);
    expect(refused()).toEqual([`ike/not-a-user ${who}`]);
  });

  test("is the user of that subject where there is one, whatever names are in the certificate", () => {
    const { b, join } = office({ more: [{ identity: dn(SUBJECT), addresses: [ip("10.9.0.201")] }] });
    const device = join();
    expect(b.established()[0]?.user).toBeUndefined();
    expect(text(virtual(device)?.local)[0]).toBe("10.9.0.201");
  });

  test("is the one whose password comes after it (RFC 4739), and nobody else", () => {
    const { b, join, refused } = office({ both: true });
    join({ password: BOB });
    expect(b.established()).toEqual([]);
    expect(refused()).toEqual([`ike/identity-mismatch ${ANN}`]);
    join({ password: ANN });
    expect(b.established()).toMatchObject([{ user: ANN }]);
  });
});
