import { Field, ID, InputType, ObjectType } from "@nestjs/graphql";
import { Severity } from "../../platform/prisma/generated/enums.js";

@ObjectType("AlertWebhook", { description: "Where alerts are told, by an HTTP request that is signed." })
export class AlertWebhookType {
  @Field(() => ID, { description: "Identifies it." })
  id!: string;

  @Field({ description: "Unique in the organization." })
  name!: string;

  @Field({ description: "Scheme, host and port of its URL; the rest is never shown." })
  origin!: string;

  @Field(() => Severity, { description: "Alerts of less are not told here." })
  minSeverity!: Severity;

  @Field(() => Date, { nullable: true, description: "When it took something last; null: never." })
  deliveredAt!: Date | null;

  @Field(() => String, { nullable: true, description: "Why it did not take what it was told last; null: it did." })
  lastError!: string | null;

  @Field({ description: "When it was made." })
  createdAt!: Date;
}

@ObjectType({ description: "A webhook that was made." })
export class CreatedAlertWebhook {
  @Field(() => AlertWebhookType, { description: "The webhook." })
  webhook!: AlertWebhookType;

  @Field({ description: "The key of its signatures, 64 hexadecimal digits. It is not shown again." })
  key!: string;
}

@InputType({ description: "A webhook." })
export class CreateAlertWebhookInput {
  @Field({ description: "1 to 63 characters, unique in the organization." })
  name!: string;

  @Field({
    description: "An https URL of at most 2000 characters. http only in networks that the installation permits.",
  })
  url!: string;

  @Field(() => Severity, { defaultValue: Severity.WARNING, description: "Alerts of less are not told here." })
  minSeverity: Severity = Severity.WARNING;
}
