import { Module, type OnModuleInit } from "@nestjs/common";
import { AuditModule } from "../audit/audit.module.js";
import { EventsModule } from "../events/events.module.js";
import { GatewayCredentials } from "../intents/gateway-credentials.js";
import { OrganizationFounder } from "../organizations/organization-founder.js";
import { RevocationRegisterModule } from "../revocations/revocation-register.module.js";
import { AuthorityService } from "./authority.service.js";
import { AuthorityAdminService } from "./authority-admin.service.js";
import { AuthoritySuccession } from "./authority-succession.service.js";
import { CertificateService } from "./certificate.service.js";
import { CertificatesResolver } from "./certificates.resolver.js";
import { ExpiryAlerts } from "./expiry-alerts.js";
import { IssuedCredentials } from "./gateway-credentials.service.js";
import { HardwareKeys } from "./hardware-keys.js";
import { HolderResolver } from "./holder.resolver.js";
import { HolderCertificateService } from "./holder-certificate.service.js";
import { InventoryResolver } from "./inventory.resolver.js";
import { InventoryService } from "./inventory.service.js";
import { IssuanceLogController } from "./issuance-log.controller.js";
import { IssuanceLogService } from "./issuance-log.service.js";
import { IssuedCertificates } from "./issued-certificates.js";
import { OcspService } from "./ocsp.service.js";
import { PkiController } from "./pki.controller.js";
import { ProfileService } from "./profile.service.js";
import { PublishedAuthorities } from "./published-authorities.js";
import { Publisher } from "./publisher.js";
import { RevocationListService } from "./revocation-list.service.js";
import { ServerCertificateService } from "./server-certificate.service.js";
import { CertificateSightings } from "./sightings.service.js";

@Module({
  imports: [AuditModule, EventsModule, RevocationRegisterModule],
  controllers: [IssuanceLogController, PkiController],
  providers: [
    AuthorityService,
    AuthorityAdminService,
    AuthoritySuccession,
    CertificateService,
    CertificateSightings,
    ExpiryAlerts,
    HardwareKeys,
    HolderCertificateService,
    HolderResolver,
    InventoryResolver,
    InventoryService,
    IssuanceLogService,
    IssuedCertificates,
    OcspService,
    ProfileService,
    PublishedAuthorities,
    Publisher,
    RevocationListService,
    ServerCertificateService,
    CertificatesResolver,
    { provide: GatewayCredentials, useClass: IssuedCredentials },
  ],
  exports: [
    AuthorityService,
    AuthoritySuccession,
    CertificateService,
    CertificateSightings,
    HolderCertificateService,
    IssuedCertificates,
    ServerCertificateService,
    GatewayCredentials,
  ],
})
export class CertificatesModule implements OnModuleInit {
  constructor(
    private readonly founder: OrganizationFounder,
    private readonly authorities: AuthorityService,
  ) {}

  /** Every organization has its CA from its beginning, so that nobody waits for one later. */
  onModuleInit(): void {
    this.founder.register(async (tx, { id }) => {
      await this.authorities.issuing(tx, { purpose: "GATEWAY_IDENTITY", organizationId: id });
    });
  }
}
