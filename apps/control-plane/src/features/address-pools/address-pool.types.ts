import { Field, ID, InputType, ObjectType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";

@ObjectType("AddressPool", { description: "Addresses of one family that road warriors are given." })
export class AddressPoolType {
  @Field(() => ID, { description: "Identifies the pool." })
  id!: string;

  @Field({ description: "Unique in the organization." })
  name!: string;

  @Field(() => [String], {
    description: "Prefixes and ranges. Of a prefix the first address is not given, nor the last of an IPv4 prefix.",
  })
  addresses!: string[];

  @Field(() => [String], { description: "Addresses, prefixes and ranges that are not given." })
  exclusions!: string[];

  @Field({ description: "When it was made." })
  createdAt!: Date;
}

@ObjectType("AddressPoolConnection", { description: "A page of address pools." })
export class AddressPoolConnection extends connectionType(AddressPoolType, "AddressPool") {}

@ObjectType("StaticLease", { description: "An address of a pool that is one person's." })
export class StaticLeaseType {
  @Field(() => ID, { description: "Identifies the lease." })
  id!: string;

  @Field({ description: "The address." })
  address!: string;

  @Field({ description: "When it was assigned." })
  createdAt!: Date;
}

@ObjectType("StaticLeaseConnection", { description: "A page of static leases." })
export class StaticLeaseConnection extends connectionType(StaticLeaseType, "StaticLease") {}

@InputType({ description: "An address pool to be made." })
export class CreateAddressPoolInput {
  @Field({ description: "Unique in the organization, 1 to 63 characters." })
  name!: string;

  @Field(() => [String], {
    description:
      "1 to 64 prefixes or ranges of one family, e.g. `10.9.0.0/24` or `10.9.1.10-10.9.1.99`. None overlaps a network of the organization or another pool.",
  })
  addresses!: string[];

  @Field(() => [String], { defaultValue: [], description: "Addresses, prefixes and ranges that are not given." })
  exclusions!: string[];
}

@InputType({ description: "Changes of an address pool; what is absent stays." })
export class UpdateAddressPoolInput {
  @Field(() => ID, { description: "Which pool." })
  id!: string;

  @Field(() => String, { nullable: true, description: "Unique in the organization, 1 to 63 characters." })
  name?: string | null;

  @Field(() => [String], {
    nullable: true,
    description: "All of its prefixes and ranges. A range that is added moves no gateway's share of the others.",
  })
  addresses?: string[] | null;

  @Field(() => [String], { nullable: true, description: "All that is not given." })
  exclusions?: string[] | null;
}

@InputType({ description: "An address that becomes one person's." })
export class AssignAddressInput {
  @Field(() => ID, { description: "The pool that gives it." })
  poolId!: string;

  @Field(() => ID, { description: "Whose it becomes. One of the same family that the person had goes." })
  roadWarriorId!: string;

  @Field({ description: "An address that the pool gives and nobody else has for himself." })
  address!: string;
}
