import { type GatewayIntent, withoutPeople } from "@sallyport/intent";
import type { Verdict } from "../stream/index.js";
import type { Revocation } from "./revocation.js";

/** Whom this gateway lets in no more by the control plane's word, for those who judge certificates and those who configure users. */
export class Refused {
  readonly #people = new Set<string>();

  constructor(private readonly revocation: Revocation) {}

  take(verdicts: readonly Verdict[]): void {
    const { store } = this.revocation;
    for (const { refusal, lifted } of verdicts) {
      if (refusal.kind === "person") {
        if (lifted) this.#people.delete(refusal.username);
        else this.#people.add(refusal.username);
      } else if (lifted) store.reinstate(refusal.fingerprint);
      else store.withdraw(refusal.fingerprint);
    }
  }

  /** The intent without them. */
  admitted(intent: GatewayIntent): GatewayIntent {
    return withoutPeople(intent, this.#people);
  }
}
