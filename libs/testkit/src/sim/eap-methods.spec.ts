import { Buffer } from "node:buffer";
import type { EapMethod } from "@sallyport/ike";
import fc from "fast-check";
import {
  converseByEap as converse,
  EAP_IDI as IDI,
  eapPeerConfig as peerConfig,
  eapServerConfig as serverConfig,
  EAP_USERS as USERS,
  utf8,
} from "./eap-rig.js";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("methods with passwords", () => {
  const methods: EapMethod[] = ["md5", "gtc", "mschapv2"];

  it.each(methods)("%s proves whom the server asked for", async (method) => {
    const { server, peer } = await converse({ server: serverConfig({ methods: [method] }) });
    expect(server.done).toMatchObject({ method, identity: IDI.name });
    const { ground, ...told } = server.done ?? {};
    expect(peer?.done).toEqual(told);
    expect(ground).toEqual({ password: utf8(`pass of ${IDI.name}`) });
    expect(server.done?.msk?.length).toBe(method === "mschapv2" ? 64 : undefined);
  });

  it.each(methods)("%s refuses a wrong password and a stranger alike", async (method) => {
    const server = serverConfig({ methods: [method] });
    const wrong = await converse({ server, peer: peerConfig({ password: utf8("guess") }) });
    const stranger = await converse({ server, peer: peerConfig({ identity: "eve@example.org" }) });
    for (const [{ server: s, peer: p }, message] of [
      [wrong, `wrong password for "${IDI.name}"`],
      [stranger, 'no user "eve@example.org"'],
    ] as const) {
      expect(s.failed).toMatchObject({ code: "ike/eap-credentials", message: expect.stringContaining(message) });
      expect(s.done).toBeUndefined();
      expect(p?.failed).toMatchObject({ code: "ike/eap-refused" });
    }
    // Nothing but names and random octets tells them apart.
    const shape = (e: typeof wrong) => e.packets.map((p) => [p.code, p.data[0], p.data[1]]);
    if (method !== "gtc") expect(shape(wrong).slice(2)).toEqual(shape(stranger).slice(2));
  });

  it("says that MSCHAPv2 is refused when it is, and not only when the peer has answered", async () => {
    const refusals: (string | undefined)[] = [];
    const { server } = await converse({
      server: serverConfig({ methods: ["mschapv2"] }),
      peer: peerConfig({ password: utf8("guess") }),
      onServer: (step) => refusals.push(step.refused?.code),
    });
    expect(refusals).toEqual([undefined, "ike/eap-credentials", undefined]);
    expect(server.state.refused).toBe(true);
  });

  it.each(methods)("%s takes no empty password, not even where an empty one is stored", async (method) => {
    const users = new Map([["staff", new Map([[IDI.name, new Uint8Array()]])]]);
    const { server, peer } = await converse({
      server: serverConfig({ methods: [method] }),
      peer: peerConfig({ password: new Uint8Array() }),
      users,
    });
    expect(server.done).toBeUndefined();
    expect(peer?.failed?.code).toBe("ike/eap-no-method");
  });

  it("finds users by any name", async () => {
    for (const identity of ["bob", "CORP\\carol", "__proto__"]) {
      const { server } = await converse({ peer: peerConfig({ identity, password: utf8(`pass of ${identity}`) }) });
      expect(server.done?.identity).toBe(identity);
    }
    const { server } = await converse({ peer: peerConfig({ identity: "constructor" }) });
    expect(server.failed?.code).toBe("ike/eap-credentials");
  });

  it("takes IDi for the user where it does not ask", async () => {
    const { server, packets } = await converse({ server: serverConfig({ identity: "ike" }) });
    expect(packets[0]?.data[0]).toBe(26);
    expect(server.done?.identity).toBe(IDI.name);
  });

  it("negotiates: the server's order, among what the peer would do", async () => {
    const { server, packets } = await converse({
      server: serverConfig({ methods: ["tls", "mschapv2", "md5"] }),
      peer: peerConfig({ methods: ["md5", "gtc", "mschapv2"] }),
    });
    expect(server.done?.method).toBe("mschapv2");
    expect(hex(packets[3]?.data ?? new Uint8Array())).toBe("0304061a");
  });

  it("names both sides' methods when none is common", async () => {
    const { server, peer } = await converse({
      server: serverConfig({ methods: ["mschapv2"] }),
      peer: peerConfig({ methods: ["md5", "gtc"] }),
    });
    expect(server.failed).toMatchObject({
      code: "ike/eap-no-method",
      facts: { ours: "EAP-MSCHAPv2", theirs: "EAP-MD5, EAP-GTC" },
    });
    expect(peer?.failed?.code).toBe("ike/eap-refused");
  });

  it("tells no password to a server that has not proven itself", async () => {
    const { peer, packets } = await converse({ serverProven: false });
    expect(peer?.failed?.code).toBe("ike/eap-no-method");
    // The identity was all.
    expect(packets.map((p) => p.data[0])).toEqual([1, 1, 26]);
  });

  it("ends in success exactly when name and password are right", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...methods),
        fc.constantFrom(...(USERS.get("staff")?.keys() ?? [])),
        fc.option(fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" })),
        async (method, identity, guess) => {
          const right = `pass of ${identity}`;
          const { server, peer } = await converse({
            server: serverConfig({ methods: [method] }),
            peer: peerConfig({ identity, password: utf8(guess ?? right) }),
          });
          const wanted = guess === null || guess === right;
          expect([server.done !== undefined, peer?.done !== undefined]).toEqual([wanted, wanted]);
        },
      ),
      { numRuns: 60 },
    );
  });
});
