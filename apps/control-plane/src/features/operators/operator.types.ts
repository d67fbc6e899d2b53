import { Field, ID, InputType, Int, ObjectType, registerEnumType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { Role } from "../../platform/prisma/generated/enums.js";
import { OrganizationType } from "../organizations/organization.types.js";

registerEnumType(Role, {
  name: "Role",
  description: "What an operator may do at most.",
  valuesMap: {
    ADMIN: { description: "Everything." },
    OPERATOR: { description: "The fleet, but neither operators nor other people's tokens." },
    VIEWER: { description: "Reads only." },
  },
});

@ObjectType("Operator", { description: "A person who runs the fleet." })
export class OperatorType {
  @Field(() => ID, { description: "Identifies the operator." })
  id!: string;

  @Field({ description: "Signs in with it." })
  email!: string;

  @Field({ description: "The person's name." })
  name!: string;

  @Field(() => Role, { description: "What the operator may do at most." })
  role!: Role;

  @Field({ description: "When the account was made." })
  createdAt!: Date;

  @Field(() => Date, { nullable: true, description: "When the operator signed in last with a password." })
  lastLoginAt!: Date | null;
}

@ObjectType("OperatorConnection", { description: "A page of operators." })
export class OperatorConnection extends connectionType(OperatorType, "Operator") {}

@ObjectType({ description: "Who is asking, and what this token allows." })
export class Me {
  @Field(() => OperatorType, { description: "The operator whose token it is." })
  operator!: OperatorType;

  @Field(() => OrganizationType, { description: "The organization that everything here is about." })
  organization!: OrganizationType;

  @Field(() => [String], { description: "What this token allows, sorted." })
  permissions!: string[];
}

@ObjectType("ApiToken", { description: "A token for programs. Its text is shown once, when it is made." })
export class ApiTokenType {
  @Field(() => ID, { description: "Identifies the token." })
  id!: string;

  @Field({ description: "What it is for." })
  name!: string;

  @Field({ description: "The first characters of its text." })
  prefix!: string;

  @Field(() => [String], { description: "What it narrows its operator's role to; empty: no narrowing." })
  permissions!: string[];

  @Field({ description: "From then on it is refused." })
  expiresAt!: Date;

  @Field(() => Date, { nullable: true, description: "When it was used last, to the minute." })
  lastUsedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When it was revoked; null: it was not." })
  revokedAt!: Date | null;

  @Field({ description: "When it was made." })
  createdAt!: Date;
}

@ObjectType("ApiTokenConnection", { description: "A page of API tokens." })
export class ApiTokenConnection extends connectionType(ApiTokenType, "ApiToken") {}

@ObjectType({ description: "A token that was just made." })
export class CreateApiTokenPayload {
  @Field({ description: "The text to send as `Authorization: Bearer …`. It cannot be had again." })
  token!: string;

  @Field(() => ApiTokenType, { description: "What is kept of it." })
  apiToken!: ApiTokenType;
}

@ObjectType({ description: "A session." })
export class SignInPayload {
  @Field({ description: "The text to send as `Authorization: Bearer …`." })
  token!: string;

  @Field({ description: "When the session ends." })
  expiresAt!: Date;

  @Field({ description: "The password was a one-time one: this session allows `changePassword` and nothing else." })
  mustChangePassword!: boolean;
}

@ObjectType({ description: "An operator that was just made." })
export class CreateOperatorPayload {
  @Field(() => OperatorType, { description: "The operator." })
  operator!: OperatorType;

  @Field({ description: "For the first sign-in, which asks for another. It cannot be had again." })
  oneTimePassword!: string;
}

@InputType({ description: "A token to be made for the caller." })
export class CreateApiTokenInput {
  @Field({ description: "What it is for, 1 to 63 characters." })
  name!: string;

  @Field(() => [String], { defaultValue: [], description: "Narrows the operator's role; empty: no narrowing." })
  permissions!: string[];

  @Field(() => Int, { defaultValue: 90, description: "1 to 366." })
  expiresInDays!: number;
}

@InputType({ description: "A person to be let in." })
export class CreateOperatorInput {
  @Field({ description: "Unique over all organizations." })
  email!: string;

  @Field({ description: "1 to 63 characters." })
  name!: string;

  @Field(() => Role, { defaultValue: Role.OPERATOR, description: "What the operator may do at most." })
  role!: Role;
}
