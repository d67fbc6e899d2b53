import { Query, Resolver } from "@nestjs/graphql";
import { toPem } from "@sallyport/pki";
import { Allow, Tenant } from "../../platform/auth/allow.js";
import { Database } from "../../platform/database/database.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuthorityService } from "./authority.service.js";
import { CertificateAuthorityType } from "./certificates.types.js";

@Resolver(() => CertificateAuthorityType)
export class CertificatesResolver {
  constructor(
    private readonly database: Database,
    private readonly authorities: AuthorityService,
  ) {}

  @Query(() => [CertificateAuthorityType], {
    description:
      "The organization's certificate authorities, and the installation's for the control channel. Newest first.",
  })
  @Allow("fleet:read")
  async certificateAuthorities(@Tenant() tenant: TenantContext): Promise<CertificateAuthorityType[]> {
    const rows = await this.database.transaction((tx) => this.authorities.list(tx, tenant.organizationId));
    return rows.map((row) => ({ ...row, pem: toPem("CERTIFICATE", row.certificate) }));
  }
}
