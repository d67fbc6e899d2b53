import { randomBytes } from "node:crypto";
import {
  ENCRYPTION,
  type EncryptionAlgorithm,
  INTEGRITY,
  type IntegrityAlgorithm,
  IpAddress,
  isFault,
} from "@sallyport/base";
import type { Capabilities, SaSpec } from "@sallyport/dataplane";
import { fault } from "./faults.js";
import type { XfrmNetlink } from "./netlink.js";
import { MAX_REPLAY_WINDOW, XFRM_MSG } from "./wire/constants.js";
import { encodeSa } from "./wire/sa.js";

/** The "dummy address" that nobody sends from or to (RFC 7600 §6): SAs towards it carry nothing. */
const NOBODY = IpAddress.parse("192.0.0.8");

type Algorithms = Pick<SaSpec, "protocol" | "encryption" | "integrity">;

/** SPIs of throw-away SAs: several agents may probe at once. */
let nextSpi = 0x53410000 + (randomBytes(2).readUInt16BE() & 0xff00);

/** The errno name when the kernel refuses, else "". */
async function takes(netlink: XfrmNetlink, algorithms: Algorithms): Promise<string> {
  const sa: SaSpec = {
    ...algorithms,
    direction: "out",
    source: NOBODY,
    destination: NOBODY,
    spi: nextSpi++,
    mode: "tunnel",
    reqid: 0,
    esn: false,
    replayWindow: 32,
    lifetime: { hardSeconds: 5 },
    selectors: [],
  };
  try {
    await netlink.request(XFRM_MSG.newSa, encodeSa(sa), "probing an algorithm", "encryption.algorithm");
    await netlink.removeSa(sa);
    return "";
  } catch (error) {
    if (isFault(error, "dataplane/refused")) return error.value ?? "EINVAL";
    throw error;
  }
}

const encryptionKey = (algorithm: EncryptionAlgorithm) => {
  const info = ENCRYPTION[algorithm];
  return { algorithm, key: randomBytes((info.keyBits[0] ?? 0) / 8 + info.saltBytes) };
};
const integrityKey = (algorithm: IntegrityAlgorithm) => ({
  algorithm,
  key: randomBytes(INTEGRITY[algorithm].keyBytes),
});

const ENCRYPTIONS = Object.keys(ENCRYPTION) as EncryptionAlgorithm[];
const INTEGRITIES = Object.keys(INTEGRITY) as IntegrityAlgorithm[];

/** Adds a throw-away SA with one algorithm, beside one that every kernel has. Gives the errno name of a refusal, else "". */
export function tryAlgorithm(
  netlink: XfrmNetlink,
  algorithm: EncryptionAlgorithm | IntegrityAlgorithm,
): Promise<string> {
  if (isIntegrity(algorithm)) {
    return takes(netlink, { protocol: "esp", encryption: encryptionKey("null"), integrity: integrityKey(algorithm) });
  }
  const combined = ENCRYPTION[algorithm].icvBytes > 0;
  const rest = combined ? {} : { integrity: integrityKey("hmac-sha1-96") };
  return takes(netlink, { protocol: "esp", encryption: encryptionKey(algorithm), ...rest });
}

const isIntegrity = (algorithm: string): algorithm is IntegrityAlgorithm => Object.hasOwn(INTEGRITY, algorithm);

/**
 * Finds out what this kernel can do by adding throw-away SAs. A kernel without ESP is `dataplane/unsupported`, with the
 * kernel's errno name in `value`. Trying every algorithm loads a module for each, some seconds on a slow machine: unless
 * `everyAlgorithm` is set the kernel is taken to have all, and refuses the SA that needs one it lacks.
 */
export async function probe(netlink: XfrmNetlink, everyAlgorithm: boolean): Promise<Capabilities> {
  const [esp, ah] = await Promise.all([
    tryAlgorithm(netlink, "aes-gcm-16"),
    takes(netlink, { protocol: "ah", encryption: encryptionKey("null"), integrity: integrityKey("hmac-sha2-256-128") }),
  ]);
  if (esp !== "") {
    throw fault("dataplane/unsupported", `the kernel takes no ESP SA: ${esp}`, {
      field: "protocol",
      value: esp,
      expected: "a kernel with ESP (modules esp4, esp6, xfrm_user) and the right to administer networks",
    });
  }
  const common = {
    name: "kernel",
    forcesEncapsulation: false,
    ah: ah === "",
    transportMode: true,
    dontFragment: ["copy", "clear"],
    maxReplayWindow: MAX_REPLAY_WINDOW,
  } as const;
  if (!everyAlgorithm) return { ...common, encryption: ENCRYPTIONS, integrity: INTEGRITIES };
  const [encryption, integrity] = await Promise.all([
    Promise.all(ENCRYPTIONS.map((algorithm) => tryAlgorithm(netlink, algorithm))),
    Promise.all(INTEGRITIES.map((algorithm) => tryAlgorithm(netlink, algorithm))),
  ]);
  return {
    ...common,
    encryption: ENCRYPTIONS.filter((_, index) => encryption[index] === ""),
    integrity: INTEGRITIES.filter((_, index) => integrity[index] === ""),
  };
}
