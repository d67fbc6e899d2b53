/** What the cryptography of one handshake costs a responder by itself: the most that one core could ever do. */
import {
  createCipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  getDiffieHellman,
  randomBytes,
  sign,
  verify,
} from "node:crypto";
import type { Group, Scenario } from "../ike/scenario.ts";

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

/** One key pair and one shared secret. */
function exchange(group: Group): Record<string, number> {
  if (group === "modp2048") {
    // An exponent of 256 bits, as RFC 3526 §8 has it; OpenSSL itself would draw one of 225 bits or more.
    const [own, peer] = [getDiffieHellman("modp14"), getDiffieHellman("modp14")];
    const theirs = peer.generateKeys();
    return {
      "modp2048 key pair": cost(() => {
        getDiffieHellman("modp14").generateKeys();
      }),
      "modp2048 shared secret": own.generateKeys() && cost(() => own.computeSecret(theirs)),
    };
  }
  const pair = () =>
    group === "x25519" ? generateKeyPairSync("x25519") : generateKeyPairSync("ec", { namedCurve: "P-256" });
  const [{ privateKey }, { publicKey: peer }] = [pair(), pair()];
  const raw = peer.export({ type: "spki", format: "der" });
  return {
    [`${group} key pair`]: cost(() => {
      pair();
    }),
    [`${group} shared secret`]: cost(() => {
      diffieHellman({ privateKey, publicKey: createPublicKey({ key: raw, format: "der", type: "spki" }) });
    }),
  };
}

export function measureLimit(scenario: Scenario): Limit {
  const data = randomBytes(300);
  const key = createSecretKey(randomBytes(32));
  const parts: Record<string, number> = {
    ...exchange(scenario.group),
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
