import { Field, InputType, Int, ObjectType } from "@nestjs/graphql";

@InputType({ description: "Hours of the week in which work at a site may begin, on the site's clocks." })
export class SiteWindowInput {
  @Field(() => [Int], { defaultValue: [], description: "On which days: 0 (Sunday) to 6 (Saturday); none: every day." })
  days!: number[];

  @Field({ description: "From which time of the day on, e.g. `02:30`." })
  from!: string;

  @Field(() => Int, { description: "For how many minutes, 1 to 1440." })
  minutes!: number;
}

@InputType({ description: "When work may begin. What has begun is finished outside of it too." })
export class MaintenanceWindowInput extends SiteWindowInput {
  @Field({ defaultValue: "UTC", description: "On whose clocks, e.g. `Europe/Vienna`." })
  timeZone!: string;
}

@ObjectType("SiteWindow", { description: "Hours of the week in which work at a site may begin, on the site's clocks." })
export class SiteWindowType {
  @Field(() => [Int], { description: "On which days: 0 (Sunday) to 6 (Saturday); none: every day." })
  days!: number[];

  @Field({ description: "From which time of the day on." })
  from!: string;

  @Field(() => Int, { description: "For how many minutes." })
  minutes!: number;
}

@ObjectType("MaintenanceWindow", { description: "When work may begin." })
export class MaintenanceWindowType extends SiteWindowType {
  @Field({ description: "On whose clocks." })
  timeZone!: string;
}
