import { Module, type OnApplicationBootstrap } from "@nestjs/common";
import { Database } from "../../platform/database/database.js";
import { GatewayCredentials } from "../intents/gateway-credentials.js";
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
export class CertificatesModule implements OnApplicationBootstrap {
  constructor(
    private readonly database: Database,
    private readonly authorities: AuthorityService,
  ) {}

  /** Makes the CAs of organizations that have none, so that nobody waits for them later. */
  async onApplicationBootstrap(): Promise<void> {
    const organizations = await this.database.client.organization.findMany({ select: { id: true } });
    for (const { id: organizationId } of organizations) {
      await this.database.transaction((tx) =>
        this.authorities.issuing(tx, { purpose: "GATEWAY_IDENTITY", organizationId }),
      );
    }
  }
}
