import { Field, ID, InputType, ObjectType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { EnrolmentType } from "../enrolment/enrolment.types.js";
import { GatewayType, NewGatewayInput } from "../gateways/gateway.types.js";
import { SiteWindowInput } from "../maintenance/window.types.js";
import { NetworkType } from "../networks/network.types.js";

@ObjectType("Site", { description: "A place with networks behind a gateway." })
export class SiteType {
  @Field(() => ID, { description: "Identifies the site." })
  id!: string;

  @Field({ description: "Unique in the organization." })
  name!: string;

  @Field({ description: "On whose clocks its maintenance windows are, e.g. `Europe/Vienna`." })
  timeZone!: string;

  @Field({ description: "When it was described." })
  createdAt!: Date;
}

@InputType({ description: "When work at a site may begin." })
export class SetMaintenanceWindowsInput {
  @Field(() => ID, { description: "The site." })
  siteId!: string;

  @Field({ defaultValue: "UTC", description: "On whose clocks, e.g. `Europe/Vienna`." })
  timeZone!: string;

  @Field(() => [SiteWindowInput], { description: "In the place of those it has, 21 at most; none: at any time." })
  windows!: SiteWindowInput[];
}

@ObjectType("SiteConnection", { description: "A page of sites." })
export class SiteConnection extends connectionType(SiteType, "Site") {}

@InputType({ description: "A site to be made, with its gateway, in no network yet: headquarters, for one." })
export class CreateSiteInput {
  @Field({ description: "Unique in the organization, 1 to 63 characters." })
  name!: string;

  @Field(() => [String], {
    description: "Prefixes behind its gateway, e.g. `10.1.0.0/16`. None overlaps another of the organization.",
  })
  subnets!: string[];

  @Field(() => NewGatewayInput, { description: "Its gateway." })
  gateway!: NewGatewayInput;
}

@InputType({ description: "A branch office to be made, with its gateway, as a spoke of a network." })
export class OnboardSiteInput extends CreateSiteInput {
  @Field(() => ID, { description: "The network it joins." })
  networkId!: string;
}

@ObjectType({ description: "A site that was just made." })
export class CreateSitePayload {
  @Field(() => SiteType, { description: "The site." })
  site!: SiteType;

  @Field(() => GatewayType, { description: "Its gateway." })
  gateway!: GatewayType;

  @Field(() => EnrolmentType, { description: "What makes a machine that gateway." })
  enrolment!: EnrolmentType;
}

@ObjectType({ description: "A branch office that was just made." })
export class OnboardSitePayload extends CreateSitePayload {
  @Field(() => NetworkType, { description: "The network it joined." })
  network!: NetworkType;
}
