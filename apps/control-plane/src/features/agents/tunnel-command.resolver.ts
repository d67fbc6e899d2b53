import { Args, Field, ID, InputType, Mutation, Resolver } from "@nestjs/graphql";
import { Allow, Tenant } from "../../platform/auth/allow.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { TunnelType } from "../tunnels/tunnel.types.js";
import { TunnelCommands } from "./tunnel-commands.service.js";

@InputType({ description: "What a gateway is to do something with." })
export class TunnelCommandInput {
  @Field(() => ID, { description: "Which tunnel." })
  tunnelId!: string;

  @Field(() => ID, {
    nullable: true,
    description: "The gateway that is to do it; absent: the one that calls first. With an external peer, ours.",
  })
  gatewayId?: string | null;

  @Field(() => String, {
    nullable: true,
    description: "Name of one CHILD SA; absent: all of them with their IKE SA; to rekey, the IKE SA alone.",
  })
  childId?: string | null;
}

const ERRORS = "Errors: `agents/not-connected`, `agents/no-answer`, `agents/command-refused`.";

@Resolver(() => TunnelType)
export class TunnelCommandResolver {
  constructor(private readonly commands: TunnelCommands) {}

  @Mutation(() => TunnelType, { description: `Has a gateway bring a tunnel up. ${ERRORS}` })
  @Allow("gateway:write")
  initiateTunnel(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Which tunnel, and where." }) input: TunnelCommandInput,
  ) {
    return this.commands.give(context, "initiateTunnel", "initiate", input);
  }

  @Mutation(() => TunnelType, {
    description: `Has a gateway take a tunnel down; traffic, or the other end, may bring it up again. ${ERRORS}`,
  })
  @Allow("gateway:write")
  terminateTunnel(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Which tunnel, and where." }) input: TunnelCommandInput,
  ) {
    return this.commands.give(context, "terminateTunnel", "terminate", input);
  }

  @Mutation(() => TunnelType, { description: `Has a gateway replace the keys of an SA. ${ERRORS}` })
  @Allow("gateway:write")
  rekeyTunnel(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Which SA, and where." }) input: TunnelCommandInput,
  ) {
    return this.commands.give(context, "rekeyTunnel", "rekey", input);
  }
}
