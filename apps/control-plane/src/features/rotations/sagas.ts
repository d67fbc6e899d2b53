import { Injectable } from "@nestjs/common";
import type { RotationKind } from "../../platform/prisma/generated/enums.js";
import { AgentCertificateSaga } from "./agent-certificate.saga.js";
import { GatewayCertificateSaga } from "./gateway-certificate.saga.js";
import { IssuingAuthoritySaga } from "./issuing-authority.saga.js";
import { MasterKeySaga } from "./master-key.saga.js";
import { PreSharedKeySaga } from "./pre-shared-key.saga.js";
import { RootAuthoritySaga } from "./root-authority.saga.js";
import type { Saga } from "./saga.js";

/** The saga of every kind of rotation. */
@Injectable()
export class Sagas {
  readonly #sagas: Readonly<Record<RotationKind, Saga>>;

  constructor(
    preSharedKey: PreSharedKeySaga,
    gatewayCertificate: GatewayCertificateSaga,
    agentCertificate: AgentCertificateSaga,
    masterKey: MasterKeySaga,
    issuingAuthority: IssuingAuthoritySaga,
    rootAuthority: RootAuthoritySaga,
  ) {
    this.#sagas = {
      PRE_SHARED_KEY: preSharedKey,
      GATEWAY_CERTIFICATE: gatewayCertificate,
      AGENT_CERTIFICATE: agentCertificate,
      MASTER_KEY: masterKey,
      ISSUING_AUTHORITY: issuingAuthority,
      ROOT_AUTHORITY: rootAuthority,
    };
  }

  of(kind: RotationKind): Saga {
    return this.#sagas[kind];
  }
}
