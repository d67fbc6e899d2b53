import { Field, ID, ObjectType } from "@nestjs/graphql";

@ObjectType("Organization", { description: "A tenant: sites, gateways, networks and people that belong together." })
export class OrganizationType {
  @Field(() => ID, { description: "Identifies the organization." })
  id!: string;

  @Field({ description: "Its name." })
  name!: string;

  @Field({ description: "The part of its gateways' identities that names it: a DNS label." })
  slug!: string;

  @Field({ description: "When it was made." })
  createdAt!: Date;
}
