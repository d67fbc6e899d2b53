import { Injectable } from "@nestjs/common";
import type { GatewayIntent } from "@sallyport/intent";
import type { Gateway } from "../../platform/prisma/generated/client.js";
import { StoredIntentService } from "../intents/stored-intent.service.js";
import { fault } from "./faults.js";

type Watched = Pick<Gateway, "id" | "organizationId" | "name">;

/** What agents have confirmed: the intents that they run, and would run after a restart. */
@Injectable()
export class IntentWatch {
  constructor(private readonly intents: StoredIntentService) {}

  /**
   * Undefined when the gateway runs such an intent, else that it does not `what` yet. With `settled`, nothing may be on its way to it
   * either.
   * @throws rotation/refused
   */
  async waitsFor(
    { id, organizationId, name }: Watched,
    what: string,
    is: (intent: GatewayIntent) => boolean,
    { settled = false }: { readonly settled?: boolean } = {},
  ): Promise<string | undefined> {
    const intent = await this.intents.inForce(organizationId, id);
    if (intent && is(intent) && (!settled || (await this.intents.isUpToDate(organizationId, id)))) return undefined;
    const refusal = await this.intents.refusal(organizationId, id);
    if (refusal !== undefined) throw fault("rotation/refused", `${name} refuses: ${refusal}`);
    return `${name} does not ${what} yet`;
  }
}
