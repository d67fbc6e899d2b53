import { isFault } from "@sallyport/base";
import { credential, describedAs } from "../testing/description.js";
import type { Description } from "./description.js";
import { type Authentication, authenticationFor, DEVICES, type Device, makeProfile, type Proofs } from "./index.js";

const WITH_KEY = { certificate: true, password: false };
const WITH_BOTH = { certificate: true, password: true };
const WITH_PASSWORD = { certificate: false, password: true };

/** What a gateway can offer that all devices can do. */
const modest = { ike: ["aes256-aes128-sha256-modp2048"], esp: ["aes256-aes128-sha256-sha1-modp2048"] };

const refusal = (device: Device, d: Description) =>
  makeProfile(device, d).then(
    () => undefined,
    (error: unknown) => (isFault(error) ? error.code : error),
  );

describe("how a device proves a person", () => {
  const all = ["certificate", "eap-tls", "eap-mschapv2", "certificate-and-eap-mschapv2"] as const;
  const [certificate, tls, password, both] = all;

  /** What is chosen of all methods; of all but that; and so on, until there is none: what the device can do, strongest first. */
  function order(device: Device, proofs: Proofs): Authentication[] {
    const chosen: Authentication[] = [];
    for (;;) {
      const next = authenticationFor(
        device,
        all.filter((a) => !chosen.includes(a)),
        proofs,
      );
      if (next === undefined) return chosen;
      chosen.push(next);
    }
  }

  it.each([
    ["apple", WITH_BOTH, [certificate, tls]],
    ["windows", WITH_BOTH, [tls, certificate]],
    ["android", WITH_BOTH, [both, certificate, tls]],
    ["swanctl", WITH_BOTH, [both, certificate, tls]],
    ["network-manager", WITH_BOTH, [certificate, tls]],
    ["routeros", WITH_BOTH, [certificate, tls]],
    // Whoever has no password yet gets by without, where there is another way.
    ["apple", WITH_KEY, [certificate, tls]],
    ["windows", WITH_KEY, [tls, certificate]],
    ["android", WITH_KEY, [certificate, tls, both]],
    ["swanctl", WITH_KEY, [certificate, tls, both]],
    ["network-manager", WITH_KEY, [certificate, tls]],
    ["routeros", WITH_KEY, [certificate, tls]],
    ...DEVICES.map((device): [Device, Proofs, Authentication[]] => [device, WITH_PASSWORD, [password]]),
    ...DEVICES.map((device): [Device, Proofs, Authentication[]] => [
      device,
      { certificate: false, password: false },
      [password],
    ]),
  ] satisfies [Device, Proofs, Authentication[]][])("%s, %j: %j", async (device, proofs, expected) => {
    expect(order(device, proofs)).toEqual(expected);
    // Whatever is chosen can be written down, and nothing else is refused as such.
    for (const authentication of all) {
      const has = { certificate: authentication !== password, password: true };
      if (has.certificate !== proofs.certificate) continue;
      const d = describedAs({
        ...{ proposals: modest, authentication },
        credential: has.certificate ? credential : undefined,
      });
      expect(await refusal(device, d)).toBe(
        expected.includes(authentication) ? undefined : "handover/no-such-authentication",
      );
    }
  });
});
