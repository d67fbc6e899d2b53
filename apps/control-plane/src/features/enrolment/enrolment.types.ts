import { Field, ObjectType } from "@nestjs/graphql";

@ObjectType("Enrolment", { description: "What makes a machine the gateway's agent. Shown once." })
export class EnrolmentType {
  @Field({ description: "The whole command to run on the gateway." })
  command!: string;

  @Field({ description: "The token in it. Whoever brings it first becomes the gateway." })
  token!: string;

  @Field({ description: "From then on the token is refused." })
  expiresAt!: Date;
}
