import { endpointText } from "@sallyport/base";
import type { IkeEvent } from "@sallyport/ike";
import { selectorText } from "@sallyport/intent";

export type EventSeverity = "info" | "warning" | "error";

/** An engine event in words, for the log and for the control plane (LOG-02, LOG-03). */
export interface Described {
  readonly severity: EventSeverity;
  readonly code: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, string>>;
  /** Whom this gateway has refused, and where he came from. */
  readonly refusal?: { readonly identity: string; readonly remote: string };
}

const ranges = (list: readonly Parameters<typeof selectorText>[0][]) => list.map(selectorText).join(", ");

export function describe(event: IkeEvent): Described {
  const code = `ike/${event.event}`;
  switch (event.event) {
    case "ike-up":
    case "ike-rekeyed":
    case "ike-down":
    case "peer-moved":
    case "moved": {
      const { ike } = event;
      const facts = {
        remote: endpointText(ike.remote),
        suite: ike.suite,
        spi: `${ike.spiInitiator}_i ${ike.spiResponder}_r`,
      };
      const user = ike.user === undefined ? "" : ` (${ike.user})`;
      const who = `${ike.localId ?? "?"} … ${ike.remoteId ?? "?"}${user}`;
      if (event.event === "ike-up")
        return { severity: "info", code, message: `${ike.name}: IKE SA established, ${who}`, facts };
      if (event.event === "ike-rekeyed")
        return { severity: "info", code, message: `${ike.name}: IKE SA rekeyed`, facts };
      if (event.event === "moved") {
        return {
          severity: "info",
          code,
          message: `${ike.name}: moved from ${endpointText(event.from)} to ${endpointText(ike.local)}`,
          facts,
        };
      }
      if (event.event === "peer-moved") {
        return {
          severity: "info",
          code,
          message: `${ike.name}: the peer moved from ${endpointText(event.from)} to ${endpointText(ike.remote)}`,
          facts,
        };
      }
      const severity = event.reason === "peer-dead" || event.reason === "failed" ? "warning" : "info";
      return {
        severity,
        code,
        message: `${ike.name}: IKE SA gone: ${event.reason}`,
        facts: { ...facts, reason: event.reason },
      };
    }
    case "child-up":
    case "child-rekeyed":
    case "child-down": {
      const { child } = event;
      const what = `${child.name}: CHILD SA`;
      const facts = {
        suite: child.suite,
        local: ranges(child.local),
        remote: ranges(child.remote),
        spiIn: child.spiIn.toString(16).padStart(8, "0"),
        spiOut: child.spiOut.toString(16).padStart(8, "0"),
      };
      if (event.event === "child-up") return { severity: "info", code, message: `${what} installed`, facts };
      if (event.event === "child-rekeyed") return { severity: "info", code, message: `${what} rekeyed`, facts };
      return {
        severity: "info",
        code,
        message: `${what} gone: ${event.reason}`,
        facts: { ...facts, reason: event.reason },
      };
    }
    case "negotiation-failed":
    case "auth-failed":
    case "address-refused": {
      const { error, refused: identity } = event;
      const remote = endpointText(event.remote);
      const lives = event.event === "address-refused";
      return {
        severity: lives ? "warning" : "error",
        code: error.code,
        message: `${error.exchange} with ${remote}${lives ? "" : " failed"}: ${error.message}`,
        facts: {
          exchange: error.exchange,
          remote,
          ...(error.ours !== undefined && { ours: error.ours }),
          ...(error.theirs !== undefined && { theirs: error.theirs }),
          ...(identity !== undefined && { refused: identity }),
        },
        ...(identity !== undefined && { refusal: { identity, remote } }),
      };
    }
    case "peer-dead":
      return {
        severity: "warning",
        code,
        message: `${endpointText(event.remote)} does not answer and is taken for dead`,
        facts: { remote: endpointText(event.remote) },
      };
    case "retrying":
      return {
        severity: "info",
        code,
        message: `trying ${endpointText(event.remote)} again`,
        facts: { remote: endpointText(event.remote), tries: String(event.tries) },
      };
    case "under-load":
      return {
        severity: "warning",
        code,
        message: event.cookies
          ? `${event.halfOpen} half-open IKE SAs: demanding cookies`
          : "cookies are no longer demanded",
        facts: { halfOpen: String(event.halfOpen) },
      };
    case "internal-error":
      return {
        severity: "error",
        code,
        message: `a defect of the IKE engine lost an input (${event.input}): ${event.code}: ${event.message}`,
        facts: { input: event.input, exception: event.code },
      };
  }
}
