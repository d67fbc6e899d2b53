import { Field, ID, ObjectType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { JsonScalar } from "../../platform/graphql/scalars.js";

@ObjectType("AuditEntry", { description: "Who changed what, from where, before and after. Never changed afterwards." })
export class AuditEntryType {
  @Field(() => ID, { description: "Identifies the entry; later ones sort behind earlier ones." })
  id!: string;

  @Field({ description: "When the change was committed." })
  at!: Date;

  @Field({ description: "`operator`, `agent` or `system`." })
  actorKind!: string;

  @Field({ description: "An e-mail address, a gateway's name or a job's name." })
  actorName!: string;

  @Field(() => ID, { nullable: true, description: "Of the operator or gateway; null for the system itself." })
  actorId!: string | null;

  @Field(() => ID, { nullable: true, description: "Of the token that was used." })
  tokenId!: string | null;

  @Field(() => String, { nullable: true, description: "Address the request came from." })
  origin!: string | null;

  @Field({ description: "What was done: the mutation's name." })
  action!: string;

  @Field({ description: "Kind of the thing that was changed, e.g. `site`." })
  targetKind!: string;

  @Field(() => ID, { description: "Id of the thing that was changed." })
  targetId!: string;

  @Field(() => JsonScalar, {
    nullable: true,
    description: "What changed, as it was; null for something new. Secrets are masked.",
  })
  before!: unknown;

  @Field(() => JsonScalar, {
    nullable: true,
    description: "What changed, as it is now; null for something deleted. Secrets are masked.",
  })
  after!: unknown;
}

@ObjectType("AuditEntryConnection", { description: "A page of audit entries." })
export class AuditEntryConnection extends connectionType(AuditEntryType, "AuditEntry") {}
