import { Args, Mutation, Query, Resolver } from "@nestjs/graphql";
import { type KeyKind, readCertificate, toPem } from "@sallyport/pki";
import { Allow, Tenant } from "../../platform/auth/allow.js";
import { type Connection, PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { AuthorityRequest, CertificateAuthority } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuthorityAdminService } from "./authority-admin.service.js";
import { keyStoreOf } from "./authority-keys.js";
import {
  AuthorityRequestConnection,
  AuthorityRequestType,
  CertificateAuthorityConnection,
  CertificateAuthorityType,
  CompleteCertificateAuthorityInput,
  CreateCertificateAuthorityInput,
  ImportCertificateAuthorityInput,
  RequestCertificateAuthorityInput,
} from "./certificates.types.js";

const shownAuthority = (row: CertificateAuthority): CertificateAuthorityType => ({
  ...row,
  keyKind: row.keyKind as KeyKind,
  keyStore: keyStoreOf(row.keyRef),
  canSign: row.keyRef !== null && row.retiredAt === null,
  pathLength: readCertificate(row.certificate).pathLength ?? null,
  pem: toPem("CERTIFICATE", row.certificate),
});

const shownRequest = (row: AuthorityRequest): AuthorityRequestType => ({
  ...row,
  keyKind: row.keyKind as KeyKind,
  csr: toPem("CERTIFICATE REQUEST", row.request),
});

/** A page of rows as GraphQL shows them. */
export const shownPage = <R, T>({ edges, pageInfo }: Connection<R>, show: (row: R) => T): Connection<T> => ({
  edges: edges.map(({ cursor, node }) => ({ cursor, node: show(node) })),
  pageInfo,
});

@Resolver(() => CertificateAuthorityType)
export class CertificatesResolver {
  constructor(private readonly authorities: AuthorityAdminService) {}

  @Query(() => CertificateAuthorityConnection, {
    complexity: pageComplexity,
    description:
      "The organization's certificate authorities, and the installation's for the control channel. Newest first.",
  })
  @Allow("fleet:read")
  async certificateAuthorities(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return shownPage(await this.authorities.list(context, args), shownAuthority);
  }

  @Query(() => AuthorityRequestConnection, {
    complexity: pageComplexity,
    description: "Authorities that wait for their certificate from elsewhere, newest first.",
  })
  @Allow("fleet:read")
  async certificateAuthorityRequests(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return shownPage(await this.authorities.requests(context, args), shownRequest);
  }

  @Mutation(() => CertificateAuthorityType, {
    description: "Makes a certificate authority: a root, or one below an authority that issues here.",
  })
  @Allow("authority:write")
  async createCertificateAuthority(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The authority." }) input: CreateCertificateAuthorityInput,
  ) {
    return shownAuthority(await this.authorities.create(context, input));
  }

  @Mutation(() => AuthorityRequestType, {
    description:
      "Makes a key and a certificate request for an authority below one elsewhere: a root that stays offline.",
  })
  @Allow("authority:write")
  async requestCertificateAuthority(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The authority to be." }) input: RequestCertificateAuthorityInput,
  ) {
    return shownRequest(await this.authorities.request(context, input));
  }

  @Mutation(() => CertificateAuthorityType, {
    description: "Takes the certificate that an authority elsewhere made of a request. The request is done with.",
  })
  @Allow("authority:write")
  async completeCertificateAuthority(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Request and certificates." }) input: CompleteCertificateAuthorityInput,
  ) {
    return shownAuthority(await this.authorities.complete(context, input.requestId, input.certificates));
  }

  @Mutation(() => CertificateAuthorityType, { description: "Takes a certificate authority with its private key." })
  @Allow("authority:write")
  async importCertificateAuthority(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Certificates and key." }) input: ImportCertificateAuthorityInput,
  ) {
    return shownAuthority(await this.authorities.import(context, input));
  }
}
