import { Injectable } from "@nestjs/common";
import { Changes } from "../../platform/database/changes.js";
import { apiFault } from "../../platform/faults.js";
import type { Certificate, RoadWarrior } from "../../platform/prisma/generated/client.js";
import type { RevocationReason } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { HolderCertificateService } from "../certificates/holder-certificate.service.js";
import { RoadWarriorService } from "../road-warriors/road-warrior.service.js";

export interface RevokedPerson {
  readonly roadWarrior: RoadWarrior;
  /** Those that were good, or on hold, until now. */
  readonly certificates: readonly Certificate[];
}

/** A person who is let in no more, by whatever the person has. */
@Injectable()
export class PersonRevocation {
  constructor(
    private readonly changes: Changes,
    private readonly people: RoadWarriorService,
    private readonly certificates: HolderCertificateService,
  ) {}

  /** All of it or nothing; once more does no harm. @throws api/not-found, api/bad-input */
  revoke(context: TenantContext, rawId: string, reason: RevocationReason): Promise<RevokedPerson> {
    if (reason === "CERTIFICATE_HOLD") {
      const detail = { field: "input.reason", value: reason, expected: "a reason that is for good" };
      throw apiFault("api/bad-input", "who is held back for a while is disabled, not revoked", detail);
    }
    return this.changes.commit(context, async (tx) => {
      const roadWarrior = await this.people.revoke(tx, context, rawId);
      const { username } = roadWarrior;
      const name = { type: username.includes("@") ? "email" : "dns", value: username } as const;
      const certificates = await this.certificates.revokeAllOf(tx, context, name, reason);
      return { roadWarrior, certificates };
    });
  }
}
