/** What the cryptography of one handshake costs a responder by itself: the most that one core could ever do. */
import {
  createCipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
  sign,
  verify,
} from "node:crypto";
import type { AuthKind, Scenario } from "./scenario.ts";

const ROUNDS = 400;

/** Microseconds of one call, the best of five series. */
function cost(operation: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let series = 0; series < 5; series++) {
    const started = performance.now();
    for (let i = 0; i < ROUNDS; i++) operation();
    best = Math.min(best, ((performance.now() - started) * 1000) / ROUNDS);
  }
  return best;
}

export interface Limit {
  /** Microseconds. */
  readonly parts: Readonly<Record<string, number>>;
  /** Handshakes a second of one core. */
  readonly perSecond: number;
}

export function measureLimit(scenario: Scenario, auth: AuthKind): Limit {
  const peer = generateKeyPairSync("x25519").publicKey;
  const raw = peer.export({ type: "spki", format: "der" });
  const data = randomBytes(300);
  const key = createSecretKey(randomBytes(32));
  const parts: Record<string, number> = {
    "x25519 key pair": cost(() => {
      generateKeyPairSync("x25519");
    }),
    "x25519 shared secret": cost(() => {
      const publicKey = createPublicKey({ key: raw, format: "der", type: "spki" });
      diffieHellman({ privateKey: own, publicKey });
    }),
    // SKEYSEED, prf+ for seven keys and for the CHILD SA's, both AUTH payloads, NAT detection: HMACs of a few blocks.
    "20 HMAC-SHA-256": 20 * cost(() => createHmac("sha256", key).update(data).digest()),
    "2 AES-256-GCM":
      2 *
      cost(() => {
        const cipher = createCipheriv("aes-256-gcm", key, data.subarray(0, 12));
        cipher.update(data);
        cipher.final();
        cipher.getAuthTag();
      }),
  };
  if (auth === "ecdsa") {
    const privateKey = createPrivateKey(scenario.server.privateKey);
    const publicKey = createPublicKey(scenario.server.certificate);
    const signature = sign("sha256", data, privateKey);
    parts["ECDSA-P256 sign"] = cost(() => sign("sha256", data, privateKey));
    // Both responders remember that the client's certificate is good.
    parts["ECDSA-P256 verify"] = cost(() => verify("sha256", data, publicKey, signature));
  }
  const total = Object.values(parts).reduce((a, b) => a + b, 0);
  return { parts, perSecond: 1_000_000 / total };
}

const own = generateKeyPairSync("x25519").privateKey;
