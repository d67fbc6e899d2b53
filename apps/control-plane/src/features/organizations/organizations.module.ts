import { Global, Module } from "@nestjs/common";
import { OrganizationService } from "./organization.service.js";
import { OrganizationFounder } from "./organization-founder.js";

/** Global: every feature is some organization's. */
@Global()
@Module({ providers: [OrganizationService, OrganizationFounder], exports: [OrganizationService, OrganizationFounder] })
export class OrganizationsModule {}
