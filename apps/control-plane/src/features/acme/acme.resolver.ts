import { Args, ID, Mutation, Parent, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { listComplexity, PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import type { AcmeAccount, AcmeCertificate, AcmeOrder } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { shownCertificate } from "../certificates/holder.resolver.js";
import { CertificateType } from "../certificates/holder.types.js";
import { shownWindow, windowOf } from "../maintenance/window.js";
import { MaintenanceWindowType } from "../maintenance/window.types.js";
import { AcmeAccountService } from "./account.service.js";
import {
  AcmeAccountConnection,
  AcmeAccountType,
  AcmeAnnouncementType,
  AcmeCertificateConnection,
  AcmeCertificateType,
  AcmeFailureType,
  AcmeOrderType,
  CreateAcmeAccountInput,
  RequestAcmeCertificateInput,
  UpdateAcmeCertificateInput,
} from "./acme.types.js";
import { AnnouncedKeys } from "./announced-keys.service.js";
import { AcmeCertificateService } from "./certificate.service.js";
import { pinText } from "./pinning-peers.js";
import { readFailure } from "./problem.js";

function shownFailure(json: unknown): AcmeFailureType | null {
  const failure = readFailure(json);
  if (failure === undefined) return null;
  const { code, message, retry, problem } = failure;
  if (problem === undefined) return { code, message, retry, problem: null };
  const { type, detail, status = null } = problem;
  const subproblems = problem.subproblems.map((s) => ({
    type: s.type,
    detail: s.detail,
    name: s.identifier?.value ?? null,
  }));
  return { code, message, retry, problem: { type, detail, status, subproblems } };
}

@Resolver(() => AcmeAccountType)
export class AcmeAccountResolver {
  constructor(private readonly accounts: AcmeAccountService) {}

  @Query(() => AcmeAccountConnection, {
    complexity: pageComplexity,
    description: "The organization's accounts at ACME directories, oldest first.",
  })
  @Allow("fleet:read")
  acmeAccounts(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return this.accounts.list(context, args);
  }

  @Mutation(() => AcmeAccountType, {
    description:
      "Makes an account with a key of its own. The directory is asked afterwards: `state` tells what it said.",
  })
  @Allow("authority:write")
  createAcmeAccount(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The account." }) { externalAccountBinding, ...input }: CreateAcmeAccountInput,
  ) {
    return this.accounts.create(context, { ...input, binding: externalAccountBinding });
  }

  @Mutation(() => AcmeAccountType, { description: "Asks the directory once more for an account that it refused." })
  @Allow("authority:write")
  registerAcmeAccount(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which account." }) id: string,
  ) {
    return this.accounts.retry(context, id);
  }

  @Mutation(() => AcmeAccountType, {
    description: "Forgets an account, and its key, with which no certificate is ordered. The directory keeps it.",
  })
  @Allow("authority:write")
  deleteAcmeAccount(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which account." }) id: string,
  ) {
    return this.accounts.remove(context, id);
  }

  @ResolveField(() => AcmeFailureType, { nullable: true, description: "Why the directory refused it." })
  failure(@Parent() account: AcmeAccount) {
    return shownFailure(account.failure);
  }
}

@Resolver(() => AcmeCertificateType)
export class AcmeCertificateResolver {
  constructor(
    private readonly certificates: AcmeCertificateService,
    private readonly keys: AnnouncedKeys,
    private readonly accounts: AcmeAccountService,
  ) {}

  @Query(() => AcmeCertificateConnection, {
    complexity: pageComplexity,
    description: "Gateways' certificates of public authorities, in the order in which they were asked for.",
  })
  @Allow("fleet:read")
  acmeCertificates(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return this.certificates.list(context, args);
  }

  @Mutation(() => AcmeCertificateType, {
    description:
      "Orders a certificate of a public authority for a gateway, which then shows it to road warriors under its first name. What it has shown so far it shows until then. Errors: `acme/order-running`, `acme/budget-spent`, `acme/account-failed`.",
  })
  @Allow("certificate:write")
  requestAcmeCertificate(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The certificate." }) input: RequestAcmeCertificateInput,
  ) {
    return this.certificates.request(context, input);
  }

  @Mutation(() => AcmeCertificateType, {
    description: "Takes the certificate from the gateway, which shows its own one to road warriors again.",
  })
  @Allow("certificate:write")
  deleteAcmeCertificate(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which one." }) id: string,
  ) {
    return this.certificates.remove(context, id);
  }

  @Mutation(() => AcmeCertificateType, {
    description:
      "Says when renewals of a certificate may begin, and for how long new keys are announced. Its next renewal is moved into that window.",
  })
  @Allow("certificate:write")
  updateAcmeCertificate(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The certificate and what changes." }) input: UpdateAcmeCertificateInput,
  ) {
    return this.certificates.update(context, input.id, input);
  }

  @Mutation(() => AcmeCertificateType, {
    description:
      "Has the gateway show the certificate that is announced, before its time: whoever has pinned the old key takes both.",
  })
  @Allow("certificate:write")
  showAnnouncedKey(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Of which one." }) id: string,
  ) {
    return this.keys.showNow(context, id);
  }

  @ResolveField(() => AcmeAnnouncementType, {
    nullable: true,
    description: "The renewed certificate that is not shown yet; null: there is none.",
  })
  async announced(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() row: AcmeCertificate,
  ): Promise<AcmeAnnouncementType | null> {
    const found = await loaders.load(this.keys, "announced", row.id, (ids: readonly string[]) =>
      this.keys.announced(context, ids),
    );
    if (!found) return null;
    const { certificate, showAt } = found;
    return { certificate: shownCertificate(certificate), pin: pinText(certificate), showAt };
  }

  @ResolveField(() => MaintenanceWindowType, {
    nullable: true,
    description: "When renewals may begin; null: in the windows of the gateway's site.",
  })
  renewalWindow(@Parent() row: AcmeCertificate) {
    const window = windowOf(row);
    return window ? shownWindow(window) : null;
  }

  @ResolveField(() => AcmeAccountType, { description: "The account that it is ordered with." })
  account(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() row: AcmeCertificate,
  ) {
    return loaders.load(this.accounts, "byIds", row.accountId, (ids: readonly string[]) =>
      this.accounts.byIds(context, ids),
    );
  }

  @ResolveField(() => CertificateType, { nullable: true, description: "The certificate that is shown now." })
  async certificate(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() row: AcmeCertificate,
  ) {
    const found = await loaders.load(this.certificates, "current", row.id, (ids: readonly string[]) =>
      this.certificates.current(context, ids),
    );
    return found ? shownCertificate(found) : null;
  }

  @ResolveField(() => [AcmeOrderType], {
    complexity: listComplexity(10),
    description: "Its newest orders, at most 10, newest first.",
  })
  orders(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() row: AcmeCertificate,
  ) {
    return loaders.loadMany(this.certificates, "orders", row.id, (ids: readonly string[]) =>
      this.certificates.orders(context, ids),
    );
  }
}

@Resolver(() => AcmeOrderType)
export class AcmeOrderResolver {
  @ResolveField(() => AcmeFailureType, {
    nullable: true,
    description: "Why it failed, or what the last attempt failed by.",
  })
  failure(@Parent() order: AcmeOrder) {
    return shownFailure(order.failure);
  }
}
