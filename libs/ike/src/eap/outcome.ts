import type { Fault } from "@sallyport/base";
import type { EapPeerConfig } from "../config.js";
import { fault } from "./faults.js";
import { type EapMethod, methodText } from "./methods.js";
import type { EapContext, EapGround, EapTlsJob } from "./types.js";

/** What a step of a method at the server leads to. `data` is type data, without the type octet. A refusal is thrown. */
export type ServerOutcome<State> =
  | { readonly do: "ask"; readonly state: State; readonly data: Uint8Array; readonly refused?: Fault }
  | { readonly do: "run"; readonly state: State; readonly job: EapTlsJob }
  | { readonly do: "done"; readonly msk: Uint8Array | undefined; readonly ground: EapGround };

/** The same at the peer. From `proven` on, EAP-Success is believed. */
export type PeerOutcome<State> =
  | {
      readonly do: "reply";
      readonly state: State;
      readonly data: Uint8Array;
      readonly proven?: { readonly msk: Uint8Array | undefined; readonly ground?: EapGround };
      readonly refused?: Fault;
    }
  | { readonly do: "run"; readonly state: State; readonly job: EapTlsJob };

/** What a method of the peer sees besides its own state. */
export interface PeerTurn {
  readonly config: EapPeerConfig;
  readonly ctx: EapContext;
  /** Of the request. */
  readonly identifier: number;
}

export function malformed(method: EapMethod, field: string, value: string | number, expected: string) {
  return fault("ike/eap-malformed", `${methodText(method)}: ${field} is ${value}, expected ${expected}`, {
    field: `EAP.${field}`,
    value: String(value),
    expected,
  });
}

export function unexpected(what: string, expected: string) {
  return fault("ike/eap-unexpected", `EAP: ${what}, expected ${expected}`, { field: "EAP", value: what, expected });
}
