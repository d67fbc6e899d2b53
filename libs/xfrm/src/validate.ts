import { ENCRYPTION, INTEGRITY } from "@sallyport/base";
import type { PolicySpec, SaSpec } from "@sallyport/dataplane";
import { fault } from "./faults.js";
import { MAX_REPLAY_WINDOW } from "./wire/constants.js";

function refuse(field: string, value: unknown, expected: string): never {
  throw fault("dataplane/refused", `${field}: ${String(value)} – expected ${expected}`, {
    field,
    value: "EINVAL",
    expected,
  });
}

function checkKeys(sa: SaSpec): void {
  const { encryption, integrity, protocol } = sa;
  if (protocol === "ah") {
    if (!integrity) refuse("integrity", "none", "an algorithm: AH does nothing else (RFC 4302)");
    if (encryption.algorithm !== "null") refuse("encryption.algorithm", encryption.algorithm, "null with AH");
  }
  const info = ENCRYPTION[encryption.algorithm];
  if (!info) refuse("encryption.algorithm", encryption.algorithm, `one of ${Object.keys(ENCRYPTION).join(", ")}`);
  const sizes = info.keyBits.map((bits) => bits / 8 + info.saltBytes);
  if (!sizes.includes(encryption.key.length)) {
    refuse("encryption.key", `${encryption.key.length} octets`, `${sizes.join(" or ")} octets, salt included`);
  }
  if (info.icvBytes > 0 && integrity) refuse("integrity", integrity.algorithm, "none with an AEAD");
  if (!integrity) return;
  const wanted = INTEGRITY[integrity.algorithm];
  if (!wanted) refuse("integrity.algorithm", integrity.algorithm, `one of ${Object.keys(INTEGRITY).join(", ")}`);
  if (integrity.key.length !== wanted.keyBytes) {
    refuse("integrity.key", `${integrity.key.length} octets`, `${wanted.keyBytes} octets`);
  }
}

/** What the kernel would take without a word, or refuse without naming it. */
export function checkSa(sa: SaSpec): void {
  if (!Number.isInteger(sa.spi) || sa.spi < 256 || sa.spi > 0xffffffff) {
    refuse("spi", sa.spi, "256 to 4294967295 (RFC 4303 §2.1)");
  }
  if (sa.source.family !== sa.destination.family) refuse("source", sa.source, "an address of the destination's family");
  if (!Number.isInteger(sa.reqid) || sa.reqid < 0 || sa.reqid > 0xffffffff) refuse("reqid", sa.reqid, "32 bits");
  if (sa.dontFragment === "set")
    refuse("dontFragment", "set", "copy or clear: the kernel sets DF for no packet that had none");
  checkKeys(sa);
  if (!Number.isInteger(sa.replayWindow) || sa.replayWindow < 0 || sa.replayWindow > MAX_REPLAY_WINDOW) {
    refuse("replayWindow", sa.replayWindow, `0 to ${MAX_REPLAY_WINDOW}`);
  }
  if (sa.esn && sa.direction === "in" && sa.replayWindow === 0) {
    refuse("replayWindow", 0, "at least 1 with ESN: the kernel has no extended numbers without a window");
  }
  const initial = sa.initialSequence ?? 0n;
  if (initial < 0n || initial >= 1n << (sa.esn ? 64n : 32n)) {
    refuse("initialSequence", initial, sa.esn ? "64 bits" : "32 bits");
  }
  for (const [field, port] of Object.entries(sa.encapsulation ?? {})) {
    if (!Number.isInteger(port) || port < 1 || port > 65535) refuse(`encapsulation.${field}`, port, "1 to 65535");
  }
}

export function checkPolicy(policy: PolicySpec): void {
  const { selector, template, action, priority } = policy;
  if (selector.source.family !== selector.destination.family) {
    refuse("selector.source", selector.source, "a prefix of the destination's family");
  }
  if (action === "encrypt" && !template) refuse("template", "none", "a template with the action encrypt");
  if (action !== "encrypt" && template) refuse("template", "present", `none with the action ${action}`);
  if (template && template.source.family !== template.destination.family) {
    refuse("template.source", template.source, "an address of the destination's family");
  }
  if (!Number.isInteger(priority) || priority < 0 || priority > 0xffffffff) refuse("priority", priority, "32 bits");
}
