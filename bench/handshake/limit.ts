/** What the cryptography of one handshake costs a responder by itself: the most that one core could ever do. */
import { createPrivateKey, createPublicKey, randomBytes, sign, verify } from "node:crypto";
import { generate, prf, respond, usePrimitives } from "@sallyport/ike";
import { IkePrimitives } from "@sallyport/linux-io";
import type { Scenario } from "../ike/scenario.ts";

/** Microseconds of one call, the best of five series of 60 ms. */
export function cost(operation: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let series = 0; series < 5; series++) {
    const started = performance.now();
    let calls = 0;
    for (; calls < 20 || performance.now() - started < 60; calls++) operation();
    best = Math.min(best, ((performance.now() - started) * 1000) / calls);
  }
  return best;
}

export interface Limit {
  /** Microseconds. */
  readonly parts: Readonly<Record<string, number>>;
  /** Handshakes a second of one core. */
  readonly perSecond: number;
}

export function measureLimit(scenario: Scenario): Limit {
  const native = new IkePrimitives();
  usePrimitives(native);
  const { group } = scenario;
  const { publicValue } = generate(group);
  const data = randomBytes(300);
  const [key, keyAndSalt] = [randomBytes(32), randomBytes(36)];
  const aead = native.aead("aes-gcm-16", 256);
  const parts: Record<string, number> = {
    [`${group} key pair and shared secret`]: cost(() => respond(group, publicValue)),
    // SKEYSEED, prf+ for seven keys and for the CHILD SA's, both AUTH payloads, NAT detection: HMACs of a few blocks.
    "20 HMAC-SHA-256": 20 * cost(() => prf("hmac-sha2-256", key, data)),
    "2 AES-256-GCM": 2 * cost(() => aead?.seal(keyAndSalt, data, 32)),
  };
  if (scenario.auth !== "psk") {
    const privateKey = createPrivateKey(scenario.server.privateKey);
    const publicKey = createPublicKey(scenario.server.certificate);
    const signature = sign("sha256", data, privateKey);
    parts[`${scenario.auth} sign`] = cost(() => sign("sha256", data, privateKey));
    // Both responders remember that the client's certificate is good.
    parts[`${scenario.auth} verify`] = cost(() => verify("sha256", data, publicKey, signature));
  }
  const total = Object.values(parts).reduce((a, b) => a + b, 0);
  return { parts, perSecond: 1_000_000 / total };
}
