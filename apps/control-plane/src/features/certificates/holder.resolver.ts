import { Args, ID, Mutation, Query, Resolver } from "@nestjs/graphql";
import { type KeyKind, toPem } from "@sallyport/pki";
import { Allow, Tenant } from "../../platform/auth/allow.js";
import { PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { Certificate, CertificateProfile } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { shownPage } from "./certificates.resolver.js";
import {
  CertificateProfileConnection,
  CertificateProfileType,
  CertificateType,
  CreateCertificateProfileInput,
  IssueCertificateInput,
  IssuedCertificateType,
  RekeyCertificateInput,
  RevokeCertificateInput,
  SignCsrInput,
} from "./holder.types.js";
import { type HandedOver, HolderCertificateService } from "./holder-certificate.service.js";
import { ProfileService } from "./profile.service.js";

const DAY_MS = 86_400_000;

function stateOf({ revokedAt, revocationReason, notAfter }: Certificate): CertificateType["state"] {
  if (revokedAt !== null) return revocationReason === "CERTIFICATE_HOLD" ? "HELD" : "REVOKED";
  return notAfter.getTime() < Date.now() ? "EXPIRED" : "VALID";
}

export const shownCertificate = (row: Certificate): CertificateType => ({
  ...row,
  kind: row.authorityId === null ? "FOREIGN" : "ISSUED",
  state: stateOf(row),
  daysLeft: Math.floor((row.notAfter.getTime() - Date.now()) / DAY_MS),
  pem: toPem("CERTIFICATE", row.certificate),
});

const shownProfile = (row: CertificateProfile): CertificateProfileType => ({
  ...row,
  keyKinds: row.keyKinds as KeyKind[],
});

const shownIssued = ({ certificate, chain, privateKey }: HandedOver): IssuedCertificateType => ({
  certificate: shownCertificate(certificate),
  chain: chain.map((der) => toPem("CERTIFICATE", der)).join(""),
  privateKey: privateKey ?? null,
});

const WHICH = { type: () => ID, description: "Which certificate." };

@Resolver(() => CertificateType)
export class HolderResolver {
  constructor(
    private readonly certificates: HolderCertificateService,
    private readonly profiles: ProfileService,
  ) {}

  @Query(() => CertificateProfileConnection, {
    complexity: pageComplexity,
    description: "The organization's certificate profiles, oldest first.",
  })
  @Allow("fleet:read")
  async certificateProfiles(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return shownPage(await this.profiles.list(context, args), shownProfile);
  }

  @Mutation(() => CertificateProfileType, { description: "Says what an authority may issue on request." })
  @Allow("authority:write")
  async createCertificateProfile(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The profile." }) input: CreateCertificateProfileInput,
  ) {
    return shownProfile(await this.profiles.create(context, input));
  }

  @Mutation(() => CertificateProfileType, { description: "Takes away a profile by which nothing was issued." })
  @Allow("authority:write")
  async removeCertificateProfile(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which profile." }) id: string,
  ) {
    return shownProfile(await this.profiles.remove(context, id));
  }

  @Mutation(() => IssuedCertificateType, { description: "Issues a certificate for a key that its holder has." })
  @Allow("certificate:write")
  async signCsr(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Request and profile." }) input: SignCsrInput,
  ) {
    return shownIssued(await this.certificates.signCsr(context, input));
  }

  @Mutation(() => IssuedCertificateType, {
    description: "Issues a certificate with a key that is made here, shown once and forgotten.",
  })
  @Allow("certificate:write")
  async issueCertificate(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Holder and profile." }) input: IssueCertificateInput,
  ) {
    return shownIssued(await this.certificates.issue(context, input));
  }

  @Mutation(() => IssuedCertificateType, {
    description: "Issues a certificate again for the same key and names. The old one stays good until it expires.",
  })
  @Allow("certificate:write")
  async renewCertificate(@Tenant() context: TenantContext, @Args("id", WHICH) id: string) {
    return shownIssued(await this.certificates.renew(context, id));
  }

  @Mutation(() => IssuedCertificateType, {
    description: "Issues a certificate again for another key. The old one stays good until it expires.",
  })
  @Allow("certificate:write")
  async rekeyCertificate(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Certificate and key." }) input: RekeyCertificateInput,
  ) {
    return shownIssued(await this.certificates.rekey(context, input));
  }

  @Mutation(() => CertificateType, { description: "Revokes a certificate for good." })
  @Allow("certificate:write")
  async revokeCertificate(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Certificate and reason." }) input: RevokeCertificateInput,
  ) {
    return shownCertificate(await this.certificates.revoke(context, input.id, input.reason));
  }

  @Mutation(() => CertificateType, { description: "Revokes a certificate until it is released." })
  @Allow("certificate:write")
  async holdCertificate(@Tenant() context: TenantContext, @Args("id", WHICH) id: string) {
    return shownCertificate(await this.certificates.hold(context, id));
  }

  @Mutation(() => CertificateType, { description: "Takes a certificate off hold." })
  @Allow("certificate:write")
  async releaseCertificate(@Tenant() context: TenantContext, @Args("id", WHICH) id: string) {
    return shownCertificate(await this.certificates.release(context, id));
  }
}
