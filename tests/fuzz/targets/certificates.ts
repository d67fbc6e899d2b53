import { ChainVerifier, readCertificate, TrustAnchors } from "@sallyport/pki";
import { FuzzInput, holds, total } from "./input.ts";

/** The self-signed root under which the kept inputs were issued; nobody has its key any more. */
const ROOT = [
  "MIIBrTCCAVOgAwIBAgIUBnMoWPWkI9YYDLewERG6XYpUeeUwCgYIKoZIzj0EAwIwIzENMAsGA1UECgwERnV6ejESMBAGA1UEAwwJ",
  "RnV6eiByb290MCAXDTI2MTEyMTIwMjU1NFoYDzIxMjYxMDI4MjAyNTU0WjAjMQ0wCwYDVQQKDARGdXp6MRIwEAYDVQQDDAlGdXp6",
  "IHJvb3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARv/OxHQUrd7dDIuF54PPPyc8rEE7CDcJGDLqsEGuNgd9KKQulLFel1Jz2C",
  "oUv5yoXxo7bdUpvu46MHmaiUFNp9o2MwYTAdBgNVHQ4EFgQU5ivt/0SLar8/z2xR9Cd0jlTY+/gwHwYDVR0jBBgwFoAU5ivt/0SL",
  "ar8/z2xR9Cd0jlTY+/gwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwIDSAAwRQIgGi/CyNhAzpvW",
  "zd3GzvKRupIiPhQjTAf2lgIz0FPasgMCIQCxP2z6Kzz0skEPvqOZpFfMkH5afTqu/yRER57gSGxMTQ==",
].join("");
const anchors = TrustAnchors.of([Buffer.from(ROOT, "base64")]);
const IDENTITY = { type: "fqdn", name: "gw-rsa.example" } as const;
/** 2030-01-01. */
const NOW = 1_893_456_000_000;

/** A leaf and an issuer below it, as a peer would send them: read or refused, and believed only with a path to the root. */
export function fuzz(data: Uint8Array): void {
  const input = new FuzzInput(data);
  const above = input.take(input.u16() % 2_000);
  const leaf = input.rest();
  const certificate = total(() => readCertificate(leaf));
  const chain = total(() =>
    new ChainVerifier({ cacheSize: 4 }).verify({
      leaf,
      intermediates: above.length > 0 ? [above] : [],
      anchors,
      now: NOW,
      usage: "ike",
      identity: IDENTITY,
    }),
  );
  holds(chain === undefined || certificate !== undefined, () => "a chain with a leaf that cannot be read");
}
