import { Field, ID, InputType, Int, ObjectType, registerEnumType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { AlertKind, AlertState, Severity } from "../../platform/prisma/generated/enums.js";

registerEnumType(AlertKind, {
  name: "AlertKind",
  description: "What a rule looks for.",
  valuesMap: {
    TUNNEL_DOWN: { description: "Tunnels that are down or only being made." },
    TUNNEL_FLAPPING: {
      description: "Tunnels that stopped being up so many times within an hour: 2 to 1000, by default 5.",
    },
    PACKETS_DROPPED: {
      description:
        "Tunnels that dropped such a share of what came in within five minutes, in percent: 1 to 100, by default 5.",
    },
    CERTIFICATE_EXPIRING: {
      description: "Certificates in use that end within so many days, or have ended: 1 to 3650, by default 14.",
    },
    REVISION_REFUSED: { description: "Gateways that refused their newest revision, or went back from it." },
    GATEWAY_OFFLINE: { description: "Enrolled gateways whose agent is not connected." },
    POOL_NEARLY_FULL: {
      description: "Address pools of which such a share is held, in percent: 1 to 100, by default 90.",
    },
  },
});

registerEnumType(AlertState, {
  name: "AlertState",
  description: "Where an alert stands.",
  valuesMap: {
    PENDING: { description: "It is so, but not for as long as the rule wants." },
    FIRING: { description: "It is so, and has been for long enough." },
    RESOLVED: { description: "It is so no more." },
  },
});

@ObjectType("AlertRule", { description: "What operators are alerted of." })
export class AlertRuleType {
  @Field(() => ID, { description: "Identifies it." })
  id!: string;

  @Field({ description: "Unique in the organization." })
  name!: string;

  @Field(() => AlertKind, { description: "What it looks for." })
  kind!: AlertKind;

  @Field(() => Severity, { description: "How much its alerts matter." })
  severity!: Severity;

  @Field(() => Int, { description: "Seconds for which it has to be so before an alert fires." })
  forSeconds!: number;

  @Field(() => Int, { nullable: true, description: "As its kind says; null: the kind has none." })
  threshold!: number | null;

  @Field(() => Date, { nullable: true, description: "Until then nobody is told of its alerts." })
  silencedUntil!: Date | null;

  @Field({ description: "When it was made." })
  createdAt!: Date;
}

@ObjectType("Alert", {
  description: "That a rule has found what it looks for. It stays until 90 days after it was resolved.",
})
export class AlertType {
  @Field(() => ID, { description: "Identifies it; later ones sort behind earlier ones." })
  id!: string;

  @Field(() => AlertState, { description: "Where it stands." })
  state!: AlertState;

  @Field(() => ID, { description: "Of the tunnel, gateway, certificate or address pool that it is about." })
  subjectId!: string;

  @Field({ description: "Name of what it is about." })
  subject!: string;

  @Field({ description: "What was found, for people." })
  detail!: string;

  @Field({ description: "Since when it is so." })
  since!: Date;

  @Field(() => Date, { nullable: true, description: "When it fired." })
  firedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When it was seen to be so no more." })
  resolvedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When somebody took it on." })
  acknowledgedAt!: Date | null;

  @Field(() => String, { nullable: true, description: "Who did." })
  acknowledgedBy!: string | null;

  @Field(() => Date, { nullable: true, description: "Until then nobody is told of it, also when it comes back." })
  silencedUntil!: Date | null;
}

@ObjectType("AlertConnection", { description: "A page of alerts." })
export class AlertConnection extends connectionType(AlertType, "Alert") {}

@InputType({ description: "Which alerts. What is absent excludes nothing." })
export class AlertFilterInput {
  @Field(() => [AlertState], { nullable: true, description: "Only in one of these states." })
  states?: AlertState[] | null;

  @Field(() => ID, { nullable: true, description: "Only of this rule." })
  ruleId?: string | null;

  @Field(() => ID, { nullable: true, description: "Only about this tunnel, gateway, certificate or pool." })
  subjectId?: string | null;

  @Field(() => Boolean, { nullable: true, description: "Only those that somebody took on, or only the others." })
  acknowledged?: boolean | null;
}

@InputType({ description: "A rule." })
export class CreateAlertRuleInput {
  @Field({ description: "1 to 63 characters, unique in the organization." })
  name!: string;

  @Field(() => AlertKind, { description: "What it looks for." })
  kind!: AlertKind;

  @Field(() => Severity, { defaultValue: Severity.WARNING, description: "How much its alerts matter." })
  severity: Severity = Severity.WARNING;

  @Field(() => Int, {
    defaultValue: 60,
    description: "Seconds for which it has to be so before an alert fires, 0 to 604800.",
  })
  forSeconds: number = 60;

  @Field(() => Int, { nullable: true, description: "As its kind says; absent: the kind's default." })
  threshold?: number | null;
}

@InputType({ description: "What changes of a rule. What is absent stays." })
export class UpdateAlertRuleInput {
  @Field(() => ID, { description: "Which rule." })
  id!: string;

  @Field(() => String, { nullable: true, description: "1 to 63 characters, unique in the organization." })
  name?: string | null;

  @Field(() => Severity, { nullable: true, description: "How much its alerts matter." })
  severity?: Severity | null;

  @Field(() => Int, { nullable: true, description: "0 to 604800; alerts that fire already go on." })
  forSeconds?: number | null;

  @Field(() => Int, { nullable: true, description: "As its kind says." })
  threshold?: number | null;

  @Field(() => Date, { nullable: true, description: "Until then nobody is told of its alerts; null ends the silence." })
  silencedUntil?: Date | null;
}
