import { readFileSync } from "node:fs";
import { isFault } from "@sallyport/base";
import fc from "fast-check";
import { fleet, gateway, PARTNER } from "../testing/fleets.js";
import { compile } from "./compile.js";
import { diffIntent } from "./diff.js";
import type { ConnectionIntent, GatewayIntent } from "./model.js";
import { parseIntent } from "./parse.js";
import { Secret } from "./secret.js";
import { maskIntent, serializeIntent } from "./serialize.js";

interface Edit {
  readonly set: string;
  readonly to?: unknown;
  readonly copy?: string;
  readonly remove?: boolean;
}
interface Refused extends Edit {
  readonly code?: string;
  readonly field: string;
  readonly value?: string;
  readonly expected?: string;
}
interface Differs extends Edit {
  readonly own?: string[];
  readonly fields?: string[];
  readonly child?: string[];
  readonly impact: string;
}
const load = <T>(name: string) => JSON.parse(readFileSync(`${import.meta.dirname}/cases/${name}.json`, "utf8")) as T[];

/** A tunnel to call over certificates, a PSK peer, and both trust anchors. */
const BASE = (() => {
  const intent = compile(fleet({ externalPeers: [PARTNER], gateways: [gateway(0), gateway(1)] }), "gw-hq", 3);
  const connections = [...intent.connections].sort((a, b) => (a.name < b.name ? 1 : -1));
  const partner = compile(
    fleet({ externalPeers: [{ ...PARTNER, auth: { method: "certificate", trustAnchorIds: ["partner-root"] } }] }),
    "gw-hq",
  ).trustAnchors[0];
  if (!partner || !connections[1]) throw new Error("the base has an anchor and two connections");
  return { ...intent, connections, trustAnchors: [...intent.trustAnchors, partner] };
})();

type Tree = Record<string, unknown>;
function edited({ set, to, copy, remove }: Edit): unknown {
  const root = JSON.parse(serializeIntent(BASE)) as Tree;
  const walk = (path: string[]) => path.reduce<Tree>((node, key) => node[key] as Tree, root);
  const path = set.split(".");
  const last = path.pop() as string;
  const from = copy?.split(".");
  if (remove) delete walk(path)[last];
  else walk(path)[last] = from ? walk(from) : to;
  return root;
}

describe("parseIntent", () => {
  test("the base of these cases is right", () => {
    expect(BASE.connections.map((c) => [c.name, c.role, c.local.method])).toEqual([
      ["branch", "both", "certificate"],
      ["Partner", "both", "psk"],
    ]);
    expect(parseIntent(serializeIntent(BASE))).toEqual(BASE);
  });

  test.each(load<Refused>("refused-intents"))("refuses $set = $to", ({ code, field, value, expected, ...edit }) => {
    try {
      parseIntent(edited(edit));
      throw new Error("accepted");
    } catch (error) {
      if (!isFault(error)) throw error;
      expect({ code: error.code, field: error.field }).toEqual({ code: code ?? "intent/invalid-field", field });
      expect(error.expected).toBeTruthy();
      if (value !== undefined) expect(error.value).toBe(value);
      if (expected !== undefined) expect(error.expected).toContain(expected);
    }
  });

  test.each(["", "{", "null", "[]", "42", '"text"', "{}"])("refuses the text %j", (text) => {
    expect(() => parseIntent(text)).toThrow(expect.objectContaining({ name: "Fault" }));
  });

  test("says nothing of a key in a text that it cannot read", () => {
    const text = serializeIntent(BASE).slice(0, -1);
    expect(text).toContain("correct horse");
    try {
      parseIntent(text);
      throw new Error("accepted");
    } catch (error) {
      if (!isFault(error, "intent/malformed")) throw error;
      expect(JSON.stringify([error.message, error.facts, error.value, String(error.cause)])).not.toContain("horse");
    }
  });

  test("makes addresses and names canonical", () => {
    const upper = parseIntent(edited({ set: "connections.0.remote.host", to: "2001:DB8:0::1" }));
    expect(upper.connections[0]?.remote.host).toBe("2001:db8::1");
    const named = parseIntent(edited({ set: "connections.0.remote.host", to: "VPN.Example.ORG" }));
    expect(named.connections[0]?.remote.host).toBe("vpn.example.org");
  });

  test("makes selectors canonical", () => {
    const texts = ["10.1.0.0-10.1.255.255[TCP/443-443]", "10.1.0.0/16[1/8]"];
    const { connections } = parseIntent(edited({ set: "connections.0.children.0.localSubnets", to: texts }));
    expect(connections[0]?.children[0]?.localSubnets).toEqual(["10.1.0.0/16[tcp/443]", "10.1.0.0/16[icmp/8]"]);
  });

  test("any JSON value is read or refused by a fault", () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.constantFrom("", "connections", "connections.0.children.0", "options"),
        (to, set) => {
          try {
            parseIntent(set === "" ? to : edited({ set, to }));
            return set !== "";
          } catch (error) {
            return isFault(error);
          }
        },
      ),
    );
  });

  test("a masked intent shows no key", () => {
    expect(maskIntent(BASE)).not.toContain("horse");
    expect(maskIntent(BASE)).toContain('"secret":"***"');
  });
});

describe("diffIntent", () => {
  test.each(load<Differs>("diffs"))("$set = $to: $impact", ({ own, fields, child, impact, ...edit }) => {
    const diff = diffIntent(BASE, parseIntent(edited(edit)));
    expect(diff.fields.map((f) => f.field)).toEqual(own ?? []);
    const changed = diff.connections[0];
    expect(diff.connections).toHaveLength(own ? BASE.connections.length : 1);
    expect(changed).toMatchObject({ change: "changed", impact });
    expect(changed?.fields.map((f) => f.field)).toEqual(fields ?? []);
    expect(changed?.children.flatMap((c) => c.fields.map((f) => f.field))).toEqual(child ?? []);
    expect(JSON.stringify(diff)).not.toMatch(/horse|new secret/);
  });

  test("a key may be rotated without an interruption: accepted beside the old one, then shown, then alone", () => {
    const rotated = (secret: string, ...also: string[]) => ({
      ...BASE,
      connections: BASE.connections.map((c): ConnectionIntent => {
        if (c.peer.method !== "psk") return c;
        const alsoAccepted = also.map((text) => ({ keyId: "next", secret: new Secret(text) }));
        return { ...c, peer: { ...c.peer, secret: new Secret(secret), alsoAccepted } };
      }),
    });
    const steps = [rotated("old"), rotated("old", "new"), rotated("new", "old"), rotated("new")] as const;
    const impacts = steps.slice(1).map((s, i) => diffIntent(steps[i] as GatewayIntent, s).connections[0]?.impact);
    expect(impacts).toEqual(["untouched", "untouched", "re-established"]);
    expect(JSON.stringify(diffIntent(steps[0], steps[1]))).not.toContain('new"');
    expect(parseIntent(serializeIntent(steps[1])).connections).toEqual(steps[1].connections);
  });

  test("another order of policies is told, and touches no tunnel", () => {
    const all = { id: "all", name: "all", local: ["0.0.0.0/0"], remote: ["0.0.0.0/0"] };
    const guarded = { ...BASE, policies: [{ action: "encrypt" }, { ...all, action: "discard" }] } as const;
    expect(diffIntent(BASE, guarded)).toEqual({
      fields: [
        { field: "policies", from: undefined, to: "encrypt all others; discard all (all) 0.0.0.0/0 === 0.0.0.0/0" },
      ],
      connections: [],
    });
    expect(diffIntent(guarded, guarded).fields).toEqual([]);
  });

  test("tunnels that come and go", () => {
    const less = { ...BASE, connections: BASE.connections.slice(1) };
    expect(diffIntent(less, BASE).connections).toMatchObject([
      { name: "branch", change: "added", impact: "established" },
    ]);
    expect(diffIntent(BASE, less).connections).toMatchObject([
      { name: "branch", change: "removed", impact: "dropped" },
    ]);
  });

  test("a second child leaves the first alone", () => {
    const [first] = BASE.connections;
    const extra = first?.children[0];
    if (!first || !extra) throw new Error("the base has a child");
    const more = {
      ...BASE,
      connections: [
        { ...first, children: [extra, { ...extra, id: "more", name: "more" }] },
        ...BASE.connections.slice(1),
      ],
    };
    expect(diffIntent(BASE, more).connections).toMatchObject([
      { fields: [], children: [{ id: "more", change: "added" }], impact: "established" },
    ]);
    expect(diffIntent(more, BASE).connections).toMatchObject([
      { children: [{ change: "removed" }], impact: "dropped" },
    ]);
  });
});

describe("Secret", () => {
  test("prints as stars and gives its octets", () => {
    const secret = new Secret("0x00fF");
    expect([`${secret}`, JSON.stringify({ secret }), secret.reveal()]).toEqual(["***", '{"secret":"***"}', "0x00fF"]);
    expect([...secret.bytes()]).toEqual([0, 255]);
    expect([...new Secret("0xZZ").bytes()]).toEqual([48, 120, 90, 90]);
    expect(new Secret("ä").bytes()).toHaveLength(2);
    expect(secret.equals(new Secret("0x00FF"))).toBe(true);
    expect(secret.equals(new Secret("0x00FE"))).toBe(false);
  });
});
