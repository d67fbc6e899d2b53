import { Injectable } from "@nestjs/common";
import type { GatewayIntent } from "@sallyport/intent";
import { Database } from "../../platform/database/database.js";
import { AuthoritySuccession } from "../certificates/authority-succession.service.js";
import { StoredIntentService } from "../intents/stored-intent.service.js";
import { IntentWatch } from "./intent-watch.js";
import { Reissue } from "./reissue.js";
import type { Guard, Saga, SagaStep, Subject } from "./saga.js";
import { WaitingAuthorities } from "./waiting-authorities.js";

/** The root that an organization's gateways trust. The new one has the id of the rotation's item. */
@Injectable()
export class RootAuthoritySaga implements Saga {
  readonly kind = "ROOT_AUTHORITY";
  readonly pivot = "switch";
  readonly steps: readonly [SagaStep, ...SagaStep[]];
  readonly undo: SagaStep = {
    name: "undo",
    does: "The new root, which has issued nothing, is in no trust set any more.",
    impact: "UNTOUCHED",
    perform: (subject, guard) => this.#distrust(subject, guard, subject.id),
    waitsFor: (subject) => this.#trusting(subject, subject.id),
  };

  constructor(
    private readonly database: Database,
    private readonly authorities: WaitingAuthorities,
    private readonly succession: AuthoritySuccession,
    private readonly intents: StoredIntentService,
    private readonly watch: IntentWatch,
    reissue: Reissue,
  ) {
    this.steps = [
      {
        name: "introduce",
        does: "A new root is made, and every gateway trusts it beside the old one.",
        impact: "UNTOUCHED",
        perform: (subject, guard) =>
          this.authorities.change(subject, guard, async (tx, { old }) => {
            await this.succession.introduceRoot(tx, old, subject.id, "system");
            await this.intents.recompile(tx, subject.organizationId);
          }),
        waitsFor: (subject) =>
          this.#everyGateway(
            subject,
            "trust the new root",
            (ids) => !ids.has(subject.subjectId) || ids.has(subject.id),
          ),
      },
      {
        name: "switch",
        does: "A new authority below the new root issues from now on; the old root certifies its key too, for those who trust the old one alone.",
        impact: "UNTOUCHED",
        perform: (subject, guard) =>
          this.authorities.change(subject, guard, (tx, { old }) =>
            this.succession.switchRoot(tx, old, subject.id, "system"),
          ),
        waitsFor: async () => undefined,
      },
      reissue.step,
      {
        name: "retire",
        does: "The old root is in no trust set any more, and no gateway shows what it has certified.",
        impact: "UNTOUCHED",
        perform: (subject, guard) => this.#distrust(subject, guard, subject.subjectId),
        waitsFor: (subject) => this.#trusting(subject, subject.subjectId),
      },
    ];
  }

  tunnels(subject: Subject): Promise<readonly string[]> {
    return this.authorities.tunnels(subject);
  }

  async isSwitched(subject: Subject): Promise<boolean> {
    return (await this.authorities.find(subject)).old.retiredAt !== null;
  }

  #distrust(subject: Subject, guard: Guard, id: string): Promise<void> {
    return this.authorities.change(subject, guard, async (tx) => {
      const root = await this.succession.find(tx, subject.organizationId, id);
      if (!root || root.distrustedAt !== null) return;
      await this.succession.distrust(tx, root);
      await this.intents.recompile(tx, subject.organizationId);
    });
  }

  /** What gateways run may be from before it was introduced, with that still on its way to them. */
  #trusting(subject: Subject, id: string): Promise<string | undefined> {
    return this.#everyGateway(subject, "forget the root", (ids) => !ids.has(id), { settled: true });
  }

  async #everyGateway(
    { organizationId }: Subject,
    what: string,
    is: (trusted: ReadonlySet<string>) => boolean,
    options: { readonly settled?: boolean } = {},
  ): Promise<string | undefined> {
    const gateways = await this.database.client.gateway.findMany({
      where: { organizationId, state: "ENROLLED" },
      orderBy: { id: "asc" },
    });
    const trusts = ({ trustAnchors }: GatewayIntent) => is(new Set(trustAnchors.map(({ id }) => id)));
    for (const gateway of gateways) {
      const waitsFor = await this.watch.waitsFor(gateway, what, trusts, options);
      if (waitsFor !== undefined) return waitsFor;
    }
    return undefined;
  }
}
