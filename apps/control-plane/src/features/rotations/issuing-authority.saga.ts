import { Injectable } from "@nestjs/common";
import { AuthoritySuccession } from "../certificates/authority-succession.service.js";
import { Reissue } from "./reissue.js";
import type { Saga, SagaStep, Subject } from "./saga.js";
import { WaitingAuthorities } from "./waiting-authorities.js";

/** The CA that certifies gateways, below the same root. The new one has the id of the rotation's item. */
@Injectable()
export class IssuingAuthoritySaga implements Saga {
  readonly kind = "ISSUING_AUTHORITY";
  readonly pivot = "switch";
  readonly steps: readonly [SagaStep, ...SagaStep[]];
  readonly undo: SagaStep = {
    name: "undo",
    does: "The new authority is retired, which has issued nothing.",
    impact: "UNTOUCHED",
    perform: (subject, guard) =>
      this.authorities.change(subject, guard, async (tx, { made }) => {
        if (made?.standby) await this.succession.takeBack(tx, made);
      }),
    waitsFor: async () => undefined,
  };

  constructor(
    private readonly authorities: WaitingAuthorities,
    private readonly succession: AuthoritySuccession,
    reissue: Reissue,
  ) {
    this.steps = [
      {
        name: "introduce",
        does: "A new authority is made below the same root, which everybody trusts; its list is published, and it issues nothing yet.",
        impact: "UNTOUCHED",
        perform: (subject, guard) =>
          this.authorities.change(subject, guard, (tx, { old }) =>
            this.succession.introduceIssuing(tx, old, subject.id, "system"),
          ),
        waitsFor: async (subject) => {
          const { made } = await this.authorities.find(subject);
          return made && made.listNumber > 0n ? undefined : "its first list is not published yet";
        },
      },
      {
        name: "switch",
        does: "It issues from now on; the old authority issues nothing more, but what it has issued is still good.",
        impact: "UNTOUCHED",
        perform: (subject, guard) =>
          this.authorities.change(subject, guard, async (tx, { made }) => {
            if (made?.standby) await this.succession.switchIssuing(tx, made);
          }),
        waitsFor: async () => undefined,
      },
      reissue.step,
      {
        name: "retire",
        does: "The old authority tells what it has revoked, and goes on telling it.",
        impact: "UNTOUCHED",
        perform: (subject, guard) =>
          this.authorities.change(subject, guard, (tx, { old }) => this.succession.publish(tx, old)),
        waitsFor: async (subject) => {
          const { old } = await this.authorities.find(subject);
          return old.listsDueAt === null ? "the old authority's list is not published yet" : undefined;
        },
      },
    ];
  }

  tunnels(subject: Subject): Promise<readonly string[]> {
    return this.authorities.tunnels(subject);
  }

  async isSwitched(subject: Subject): Promise<boolean> {
    return (await this.authorities.find(subject)).made?.standby === false;
  }
}
