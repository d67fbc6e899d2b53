import { isFault } from "@sallyport/base";
import type { PolicySpec, SaSpec } from "@sallyport/dataplane";
import { type EspFraming, type EspParameters, framingOf, MAX_REPLAY_WINDOW } from "@sallyport/esp";
import { fault } from "./faults.js";
import type { Path } from "./sa.js";

const U32 = 0xffff_ffff;

function refused(field: string, value: unknown, expected: string) {
  const message = `${field}: ${String(value)} where ${expected} would be right`;
  return fault("dataplane/refused", message, { field, value: "EINVAL", expected });
}

function unsupported(field: string, value: string, expected: string) {
  const message = `${field}: ${value} cannot pass a TUN device and UDP, only ${expected} can`;
  return fault("dataplane/unsupported", message, { field, value, expected });
}

const isWord = (value: number) => Number.isInteger(value) && value >= 0 && value <= U32;

/** A wrong key or combination is refused in the port's own terms. */
export function checkedFraming(parameters: EspParameters): EspFraming {
  try {
    return framingOf(parameters);
  } catch (error) {
    if (!isFault(error)) throw error;
    const { field = "encryption", expected = "another key or algorithm" } = error;
    throw fault("dataplane/refused", error.message, { field, value: "EINVAL", expected, cause: error });
  }
}

/** Checks what the outer header is made from. */
export function pathOf(spec: Pick<SaSpec, "source" | "destination" | "encapsulation">): Path {
  const { source, destination, encapsulation } = spec;
  if (!encapsulation) throw unsupported("encapsulation", "none", "ESP in UDP (RFC 3948)");
  if (source.family !== destination.family) {
    throw refused("source", source, "an address of the destination's family");
  }
  for (const name of ["sourcePort", "destinationPort"] as const) {
    const port = encapsulation[name];
    if (!Number.isInteger(port) || port < 1 || port > 65535) throw refused(`encapsulation.${name}`, port, "1 to 65535");
  }
  return { source, destination, encapsulation };
}

export function checkSa(spec: SaSpec): void {
  const { protocol, mode, spi, reqid, replayWindow, esn, initialSequence = 0n } = spec;
  if (protocol !== "esp") throw unsupported("protocol", protocol, "ESP");
  if (mode !== "tunnel") throw unsupported("mode", mode, "tunnel mode");
  if (spec.dontFragment && spec.dontFragment !== "set") {
    throw unsupported("dontFragment", spec.dontFragment, "a DF that is always set");
  }
  if (!isWord(spi) || spi < 256) throw refused("spi", spi, `256 to ${U32} (RFC 4303 §2.1)`);
  if (!isWord(reqid)) throw refused("reqid", reqid, "32 bits");
  if (!Number.isInteger(replayWindow) || replayWindow < 0 || replayWindow > MAX_REPLAY_WINDOW) {
    throw refused("replayWindow", replayWindow, `0 to ${MAX_REPLAY_WINDOW}`);
  }
  if (initialSequence < 0n || initialSequence >= 1n << (esn ? 64n : 32n)) {
    throw refused("initialSequence", initialSequence, esn ? "64 bits" : "32 bits");
  }
}

export function checkPolicy({ selector, action, template, priority }: PolicySpec): void {
  if (selector.source.family !== selector.destination.family) {
    throw refused("selector.source", selector.source, "a prefix of the destination's family");
  }
  if (action === "encrypt" && !template) throw refused("template", "none", "a template beside the action encrypt");
  if (action !== "encrypt" && template) throw refused("template", "one", `none beside the action ${action}`);
  if (template && template.source.family !== template.destination.family) {
    throw refused("template.source", template.source, "an address of the destination's family");
  }
  if (template && template.mode !== "tunnel") throw unsupported("template.mode", template.mode, "tunnel mode");
  if (template && template.protocol !== "esp") throw unsupported("template.protocol", template.protocol, "ESP");
  if (!isWord(priority)) throw refused("priority", priority, "32 bits");
}
