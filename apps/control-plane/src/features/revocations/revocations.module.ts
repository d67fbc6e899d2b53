import { Module } from "@nestjs/common";
import { CertificatesModule } from "../certificates/certificates.module.js";
import { GatewaysModule } from "../gateways/gateways.module.js";
import { RoadWarriorsModule } from "../road-warriors/road-warriors.module.js";
import { PersonRevocationResolver } from "./person-revocation.resolver.js";
import { PersonRevocation } from "./person-revocation.service.js";
import { RevocationResolver } from "./revocation.resolver.js";
import {
  CertificateRevocationResolver,
  ConfirmationResolver,
  RoadWarriorRevocationResolver,
} from "./revocation-of.resolver.js";
import { RevocationRegisterModule } from "./revocation-register.module.js";

/** The register as operators see it. */
@Module({
  imports: [CertificatesModule, GatewaysModule, RevocationRegisterModule, RoadWarriorsModule],
  providers: [
    PersonRevocation,
    PersonRevocationResolver,
    RevocationResolver,
    ConfirmationResolver,
    CertificateRevocationResolver,
    RoadWarriorRevocationResolver,
  ],
})
export class RevocationsModule {}
