import type { ProfileModel } from "./fleet-model.js";

/**
 * What tunnels use when nobody chose: AEAD first (RFC 8221, RFC 8247), then what an older peer can do at 112 bits of strength or more.
 * Lifetimes and DPD follow PROF-02 in spirit, not RouterOS's values.
 */
export const DEFAULT_PROFILE: ProfileModel = {
  id: "default",
  name: "default",
  ikeProposals: [
    "aes256gcm16-aes128gcm16-prfsha384-prfsha256-x25519-ecp384-ecp256",
    "aes256-aes128-sha384-sha256-x25519-ecp384-ecp256-modp3072-modp2048",
  ],
  espProposals: ["aes256gcm16-aes128gcm16-x25519-ecp384-ecp256", "aes256-aes128-sha256-x25519-ecp256-modp2048"],
  lifetimes: { ikeRekeySeconds: 14_400, childRekeySeconds: 3_600 },
  dpd: { intervalSeconds: 30 },
};
