import { type Family, IpAddress, Prefix } from "@sallyport/base";
import fc from "fast-check";
import { decodeRoute, encodeRoute, type Route } from "./route.js";

const octets = (family: Family) =>
  fc.uint8Array({ minLength: family === 4 ? 4 : 16, maxLength: family === 4 ? 4 : 16 });
const address = (family: Family) => octets(family).map((bytes) => IpAddress.from(bytes));
const word = fc.nat(0x7fffffff);

const route = fc.constantFrom<Family>(4, 6).chain((family) =>
  fc.record<Route>(
    {
      destination: fc
        .tuple(address(family), fc.nat(family === 4 ? 32 : 128))
        .map(([first, length]) => Prefix.of(first, length)),
      table: fc.integer({ min: 1, max: 0x7fffffff }),
      protocol: fc.nat(255),
      kind: fc.constantFrom("unicast", "throw"),
      gateway: fc.oneof(address(family), address(6)),
      interfaceIndex: word,
      source: address(family),
      mtu: word,
      metric: word,
    },
    { requiredKeys: ["destination", "table", "protocol", "kind"] },
  ),
);

describe("routes", () => {
  it("come back from the kernel's structure as they went in", () => {
    fc.assert(
      fc.property(route, (wanted) => {
        const found = decodeRoute(encodeRoute(wanted));
        expect(found?.destination.toString()).toBe(wanted.destination.toString());
        const { destination: _there, ...rest } = found as Route;
        const { destination: _here, ...expected } = wanted;
        expect(rest).toEqual(expected);
      }),
    );
  });

  it("of kinds that are not made here are passed over", () => {
    const body = encodeRoute({ destination: Prefix.any(4), table: 254, protocol: 4, kind: "unicast" });
    const blackhole = Uint8Array.from(body);
    blackhole[7] = 6;
    expect(decodeRoute(blackhole)).toBeUndefined();
  });
});
