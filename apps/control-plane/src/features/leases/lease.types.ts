import { Field, ID, InputType, ObjectType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";

@ObjectType("Lease", { description: "That somebody holds, or held, an address that a gateway gave." })
export class LeaseType {
  @Field(() => ID, { description: "Identifies the record." })
  id!: string;

  @Field({ description: "The virtual address." })
  address!: string;

  @Field({ description: "Who holds it: whom EAP authenticated or whose certificate it was, or the identity in IKE." })
  identity!: string;

  @Field({ description: "The address and UDP port from which the holder speaks, or spoke last." })
  outerEndpoint!: string;

  @Field({ description: "Since when." })
  beganAt!: Date;

  @Field(() => Date, { nullable: true, description: "Until when; null while it is held." })
  endedAt!: Date | null;
}

@ObjectType("LeaseConnection", { description: "A page of leases." })
export class LeaseConnection extends connectionType(LeaseType, "Lease") {}

@InputType({ description: "Which leases. What is absent excludes nothing." })
export class LeaseFilterInput {
  @Field(() => ID, { nullable: true, description: "Only of this pool." })
  poolId?: string | null;

  @Field(() => ID, { nullable: true, description: "Only those that this gateway gave." })
  gatewayId?: string | null;

  @Field(() => ID, { nullable: true, description: "Only of this person." })
  roadWarriorId?: string | null;

  @Field(() => String, { nullable: true, description: "Only of this address." })
  address?: string | null;

  @Field(() => Boolean, { nullable: true, description: "Only those that are held now, or only those that ended." })
  active?: boolean | null;
}
