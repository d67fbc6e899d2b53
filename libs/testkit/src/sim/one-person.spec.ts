import type { IkeConfig, ModeConfig, PeerConfig } from "@sallyport/ike";
import { ADDRESSES } from "./configs.js";
import { CA, ID_B, Keys, utf8 } from "./eap-lab.spec-helper.js";
import { gateway, ip, MODE_CONFIG, person, text, virtual } from "./road-warrior.spec-helper.js";
import { trusting } from "./sim-keys.js";
import type { SimPeer } from "./sim-peer.js";
import { Simulation } from "./simulation.js";

const ANN = "ann@example.org";
const PASSWORD = utf8.encode("wonderland");
const OWN = "10.9.0.200";

/** A gateway that takes people by certificate and by EAP, and their devices. */
function office(sas: number, people: Partial<ModeConfig> = { people: "staff" }) {
  const keys = new Keys();
  const sim = new Simulation(1, keys);
  const b = sim.addPeer("b", ADDRESSES.b);
  const shown = keys.issue(CA, ID_B);
  const served = (more: Partial<ModeConfig>): IkeConfig => {
    const users = [
      { identity: { type: "email", name: ANN } as const, sas, addresses: [ip(OWN)] },
      { identity: { type: "email", name: "bob@example.org" } as const, sas },
    ];
    const peer = (id: string, remoteAuth: PeerConfig["remoteAuth"]): PeerConfig[] =>
      gateway(
        {},
        {
          ...{ id, name: id, localAuth: [shown], remoteAuth, uniqueness: "keep" },
          modeConfig: { ...MODE_CONFIG, users, onlyUsers: true, ...more },
        },
      ).peers.slice();
    const eap = { methods: ["mschapv2"], identity: "ask", users: "people" } as const;
    return {
      ...gateway(),
      peers: [
        ...peer("by certificate", [{ ...trusting(undefined, CA), identity: { match: "any" } }]),
        ...peer("by EAP", [{ method: "eap", identity: { match: "any" }, eap }]),
      ],
      eapUsers: new Map([
        [
          "people",
          new Map([
            [ANN, PASSWORD],
            ["bob@example.org", PASSWORD],
          ]),
        ],
      ]),
    };
  };
  b.configure(served(people));
  let devices = 0;
  /** Another device of Ann's, or of somebody else's; without INITIAL_CONTACT unless said. */
  const join = (way: "certificate" | "eap", name = ANN, initialContact = false): SimPeer => {
    const address = `203.0.113.${++devices}`;
    const device = sim.addPeer(`device ${devices}`, address);
    const eap = { methods: ["mschapv2"], identity: name, password: PASSWORD } as const;
    device.configure(
      person(name, address, {
        initialContact,
        localAuth: [
          way === "certificate"
            ? keys.issue(CA, { type: "email", name })
            : { method: "eap", identity: { type: "ipv4", address: ip(address) }, eap },
        ],
        remoteAuth: [trusting(ID_B, CA)],
      }),
    );
    sim.run(2);
    return device;
  };
  return { sim, b, join, configure: (more: Partial<ModeConfig>) => b.configure(served(more)) };
}

const up = (...devices: SimPeer[]) => devices.map((device) => device.established().length);
const refused = (b: SimPeer) => b.of("auth-failed").map((e) => `${e.peer} ${e.error.code} ${e.refused}`);

describe("a person who calls by certificate and by EAP", () => {
  test.each([
    ["certificate", "eap"],
    ["eap", "certificate"],
  ] as const)("has one number of IKE SAs over both: first %s, then %s", (first, then) => {
    const { sim, b, join } = office(2);
    const devices = [join(first), join(then), join(then), join(first)];
    expect(up(...devices)).toEqual([1, 1, 0, 0]);
    expect(new Set(refused(b))).toEqual(
      new Set([
        `by ${then === "eap" ? "EAP" : then} ike/too-many-sas ${ANN}`,
        `by ${first === "eap" ? "EAP" : first} ike/too-many-sas ${ANN}`,
      ]),
    );
    // Others have their own, and a place that becomes free goes to one of those who try again, whatever it was taken by.
    expect(up(join("eap", "bob@example.org"), join("certificate", "bob@example.org"))).toEqual([1, 1]);
    devices[0]?.command({ command: "terminate", peer: "b" });
    sim.run(15);
    expect(up(...devices.slice(0, 2))).toEqual([0, 1]);
    expect(up(...devices.slice(2)).toSorted()).toEqual([0, 1]);
  });

  test("takes the place of all the others with INITIAL_CONTACT, and has the address that is the person's own", () => {
    const { sim, b, join } = office(1);
    const lost = join("certificate");
    expect(text(virtual(lost)?.local)[0]).toBe(OWN);
    const device = join("eap", ANN, true);
    sim.run(5);
    expect(b.established().map((sa) => text(sa.virtual?.remote)[0])).toEqual([OWN]);
    expect(text(virtual(device)?.local)[0]).toBe(OWN);
    const [sa] = b.established();
    expect(sa?.children).toHaveLength(1);
    expect(b.dataPlane.sas.size).toBe(2);
  });

  test("has it too when the connections come to be for the same people only later, and keeps the address", () => {
    const { sim, b, join, configure } = office(1, {});
    const [first, second] = [join("certificate"), join("eap")];
    expect(up(first, second)).toEqual([1, 1]);
    second.command({ command: "terminate", peer: "b" });
    sim.run(15);
    configure({ people: "staff" });
    sim.run(2);
    expect(up(first, join("eap"))).toEqual([1, 0]);
    join("eap", ANN, true);
    sim.run(5);
    expect(b.established().map((sa) => text(sa.virtual?.remote)[0])).toEqual([OWN]);
  });

  test("has one for each connection where they are not for the same people", () => {
    const { join } = office(1, {});
    expect(up(join("certificate"), join("eap"), join("eap"))).toEqual([1, 1, 0]);
  });
});
