import { Module, type OnModuleInit } from "@nestjs/common";
import { GatewayCredentials } from "../intents/gateway-credentials.js";
import { OrganizationFounder } from "../organizations/organization-founder.js";
import { AuthorityService } from "./authority.service.js";
import { CertificateService } from "./certificate.service.js";
import { CertificatesResolver } from "./certificates.resolver.js";
import { IssuedCredentials } from "./gateway-credentials.service.js";
import { ServerCertificateService } from "./server-certificate.service.js";

@Module({
  providers: [
    AuthorityService,
    CertificateService,
    ServerCertificateService,
    CertificatesResolver,
    { provide: GatewayCredentials, useClass: IssuedCredentials },
  ],
  exports: [CertificateService, ServerCertificateService, GatewayCredentials],
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
