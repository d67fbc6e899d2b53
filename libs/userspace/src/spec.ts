import { isFault } from "@sallyport/base";
import type { SaSpec } from "@sallyport/dataplane";
import { createEsp, type Esp, type EspParameters } from "@sallyport/esp";
import { fault } from "./faults.js";
import type { Path } from "./sa.js";

/** The transforms of an SA; a wrong key or combination is refused in the port's own terms. */
export function espOf(parameters: EspParameters): Esp {
  try {
    return createEsp(parameters);
  } catch (error) {
    if (!isFault(error)) throw error;
    const { field, expected } = error;
    throw fault("dataplane/refused", error.message, {
      value: "EINVAL",
      ...(field !== undefined && { field }),
      ...(expected !== undefined && { expected }),
      cause: error,
    });
  }
}

export function pathOf({
  source,
  destination,
  encapsulation,
}: Pick<SaSpec, "source" | "destination" | "encapsulation">): Path {
  if (!encapsulation) {
    throw fault("dataplane/unsupported", "ESP leaves only inside UDP", {
      field: "encapsulation",
      expected: "the UDP ports of the outer header (RFC 3948)",
    });
  }
  if (source.family !== destination.family) {
    throw fault("dataplane/refused", "source and destination are of two families", {
      field: "destination",
      value: "EAFNOSUPPORT",
    });
  }
  return { source, destination, encapsulation };
}

export function refuseUnsupported(spec: SaSpec): void {
  if (spec.protocol !== "esp") {
    throw fault("dataplane/unsupported", "AH is not carried here", {
      field: "protocol",
      value: spec.protocol,
      expected: "esp",
    });
  }
  if (spec.mode !== "tunnel") {
    throw fault("dataplane/unsupported", "only tunnel mode passes a TUN device", {
      field: "mode",
      value: spec.mode,
      expected: "tunnel",
    });
  }
  if (!Number.isInteger(spec.spi) || spec.spi < 256 || spec.spi > 0xffff_ffff) {
    throw fault("dataplane/refused", `the SPI ${spec.spi} is reserved or out of range`, {
      field: "spi",
      value: "EINVAL",
      expected: "256 to 4294967295",
    });
  }
}
