import { jest } from "@jest/globals";

const answers: { address: string; family: number }[] = [];
jest.unstable_mockModule("node:dns/promises", () => ({ lookup: async () => answers }));
const { resolveHost } = await import("./locate.js");

const say = (...addresses: string[]) => {
  answers.splice(
    0,
    answers.length,
    ...addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
  );
};

it("takes an address as it is, without asking anybody", async () => {
  expect((await resolveHost("127.0.0.1")).map(String)).toEqual(["127.0.0.1"]);
});

it("leaves out answers where no peer can be, and all but a few (hostile input 27)", async () => {
  say(
    "127.0.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "::1",
    "::",
    "ff02::1",
    "::ffff:192.0.2.1",
    "192.0.2.9",
    "2001:db8::9",
  );
  expect((await resolveHost("vpn.example.org")).map(String)).toEqual(["192.0.2.9", "2001:db8::9"]);
  say(...Array.from({ length: 5_000 }, (_, i) => `198.51.${i >> 8}.${i & 255}`));
  expect(await resolveHost("vpn.example.org")).toHaveLength(16);
  say("127.0.0.1");
  await expect(resolveHost("vpn.example.org")).rejects.toMatchObject({ code: "agent/unresolvable-host" });
});
