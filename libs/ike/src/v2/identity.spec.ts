import { IpAddress } from "@sallyport/base";
import fc from "fast-check";
import type { Identity } from "../config.js";
import { ID } from "../wire/index.js";
import { identificationText, identityAllowed, sameIdentification, toIdentification, toIdentity } from "./identity.js";

const identities: Identity[] = [
  { type: "ipv4", address: IpAddress.parse("192.0.2.1") },
  { type: "ipv6", address: IpAddress.parse("2001:db8::1") },
  { type: "fqdn", name: "gw.example" },
  { type: "email", name: "user@example" },
  { type: "dn", data: Uint8Array.of(0x30, 0) },
  { type: "key-id", data: new TextEncoder().encode("branch-7") },
];

test.each(identities)("$type goes to the wire and back", (identity) => {
  const id = toIdentification(identity);
  expect(toIdentity(id)).toEqual(identity);
  for (const other of identities) expect(sameIdentification(id, toIdentification(other))).toBe(other === identity);
});

test("names compare without case, octets with it", () => {
  const fqdn = (name: string) => toIdentification({ type: "fqdn", name });
  expect(sameIdentification(fqdn("GW.Example"), fqdn("gw.example"))).toBe(true);
  const key = (text: string) => toIdentification({ type: "key-id", data: new TextEncoder().encode(text) });
  expect(sameIdentification(key("A"), key("a"))).toBe(false);
});

test("texts are printable ASCII whatever the octets (hostile input 26)", () => {
  fc.assert(
    fc.property(fc.nat(255), fc.uint8Array({ maxLength: 64 }), (idType, data) => {
      expect(identificationText({ idType, data })).toMatch(/^[\x20-\x7e]*$/);
    }),
  );
});

describe("what a peer may call itself (IDENT-09)", () => {
  const endpoint = { address: IpAddress.parse("192.0.2.1"), port: 500 };
  const [own, , fqdn] = identities.map(toIdentification) as [
    ReturnType<typeof toIdentification>,
    unknown,
    ReturnType<typeof toIdentification>,
  ];

  test("auto with a PSK asks for the address where one is known", () => {
    expect(identityAllowed({ match: "auto" }, "psk", endpoint, own)).toBe(true);
    expect(identityAllowed({ match: "auto" }, "psk", endpoint, fqdn)).toBe(false);
    expect(identityAllowed({ match: "auto" }, "psk", undefined, fqdn)).toBe(true);
    expect(identityAllowed({ match: "auto" }, "certificate", endpoint, fqdn)).toBe(true);
  });

  test("is asks for that one, any and ignore for none", () => {
    const match = { match: "is", identity: { type: "fqdn", name: "gw.example" } } as const;
    expect(identityAllowed(match, "psk", endpoint, fqdn)).toBe(true);
    expect(identityAllowed(match, "psk", endpoint, own)).toBe(false);
    expect(identityAllowed({ match: "any" }, "psk", endpoint, fqdn)).toBe(true);
    const control = { idType: ID.FQDN, data: Uint8Array.of(7, 27) };
    expect(identityAllowed({ match: "any" }, "psk", endpoint, control)).toBe(false);
    expect(identityAllowed({ match: "ignore" }, "psk", endpoint, control)).toBe(true);
  });
});
