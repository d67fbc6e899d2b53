import { Injectable } from "@nestjs/common";
import type { Rotation } from "../../platform/prisma/generated/client.js";
import type { RotationKind } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuthorityRotations } from "./authorities.service.js";
import { GatewayCertificateRotations } from "./gateway-certificates.service.js";
import { MasterKeyRotations } from "./master-key.service.js";
import { PreSharedKeyRotations } from "./pre-shared-keys.service.js";
import type { RotationInput } from "./rotation.service.js";

type Begin = (context: TenantContext, input: RotationInput) => Promise<Rotation>;

/** How a rotation of everything of a kind begins. */
@Injectable()
export class Rotatables {
  readonly #kinds: Readonly<Record<RotationKind, Begin>>;

  constructor(
    preSharedKeys: PreSharedKeyRotations,
    gateways: GatewayCertificateRotations,
    authorities: AuthorityRotations,
    masterKey: MasterKeyRotations,
  ) {
    this.#kinds = {
      PRE_SHARED_KEY: (context, input) => preSharedKeys.begin(context, input),
      GATEWAY_CERTIFICATE: (context, input) => gateways.begin(context, "GATEWAY_CERTIFICATE", input),
      AGENT_CERTIFICATE: (context, input) => gateways.begin(context, "AGENT_CERTIFICATE", input),
      MASTER_KEY: (context, input) => masterKey.begin(context, input),
      ISSUING_AUTHORITY: (context, input) => authorities.begin(context, "ISSUING", input),
      ROOT_AUTHORITY: (context, input) => authorities.begin(context, "ROOT", input),
    };
  }

  begin(context: TenantContext, kind: RotationKind, input: RotationInput): Promise<Rotation> {
    return this.#kinds[kind](context, input);
  }
}
