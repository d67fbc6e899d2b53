import { Controller, Get, Res } from "@nestjs/common";
import type { FastifyReply } from "fastify";
import { Readiness } from "./readiness.js";

/** For process supervisors and load balancers. */
@Controller()
export class HealthController {
  constructor(private readonly readiness: Readiness) {}

  /** 200 as long as the process answers at all. */
  @Get("healthz")
  alive(): { status: string } {
    return { status: "ok" };
  }

  /** 200 when requests can be served, else 503 with the reason. */
  @Get(["readyz", "health/ready"])
  async ready(@Res() reply: FastifyReply): Promise<void> {
    const obstacle = await this.readiness.obstacle();
    await reply.code(obstacle === undefined ? 200 : 503).send({ status: obstacle ?? "ok" });
  }
}
