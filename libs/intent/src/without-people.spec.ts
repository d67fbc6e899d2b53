import { emptyIntent } from "./compile.js";
import type { GatewayIntent } from "./model.js";
import { Secret } from "./secret.js";
import { withoutPeople } from "./without-people.js";

const users = ["alice@acme", "bob@acme"];
const connection = {
  id: "c",
  modeConfig: {
    poolIds: ["p"],
    onlyUsers: true,
    users: users.map((value) => ({ identity: { type: "email", value } })),
  },
};
const intent = {
  ...emptyIntent({ id: "g", name: "gw", siteId: "s", fqdn: "gw.acme" }),
  eapUsers: [{ id: "people", users: users.map((name) => ({ name, secret: new Secret("x".repeat(12)) })) }],
  connections: [connection, { id: "site" }],
} as unknown as GatewayIntent;

describe("an intent without some people", () => {
  it("lacks them among callers and among users of EAP, and nothing else", () => {
    const without = withoutPeople(intent, new Set(["alice@acme", "carol@acme"]));
    expect(without.eapUsers?.[0]?.users.map((u) => u.name)).toEqual(["bob@acme"]);
    expect(without.connections[0]?.modeConfig).toMatchObject({
      onlyUsers: true,
      users: [{ identity: { value: "bob@acme" } }],
    });
    expect(without.connections[1]).toBe(intent.connections[1]);
    expect(intent.connections[0]?.modeConfig?.users).toHaveLength(2);
  });

  it("is the same one when nobody is refused", () => {
    expect(withoutPeople(intent, new Set())).toBe(intent);
  });
});
