import { Readable } from "node:stream";
import { Controller, Get, Req, Res } from "@nestjs/common";
import { isFault } from "@sallyport/base";
import type { LogEntry } from "@sallyport/pki";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Authenticator } from "../../platform/auth/authenticator.js";
import { IssuanceLogService } from "./issuance-log.service.js";

const PAGE = 500;

/** The whole issuance log of the caller's organization, one entry of JSON a line, for `verify-log`. */
@Controller()
export class IssuanceLogController {
  constructor(
    private readonly authenticator: Authenticator,
    private readonly log: IssuanceLogService,
  ) {}

  /** With the bearer token of somebody who may read the audit trail. */
  @Get("issuance-log")
  async export(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const organizationId = await this.#reader(request);
    if (typeof organizationId === "number") {
      await reply.code(organizationId).send();
      return;
    }
    reply.header("content-type", "application/x-ndjson");
    await reply.send(Readable.from(this.#lines(organizationId)));
  }

  async *#lines(organizationId: string): AsyncGenerator<string> {
    for (let after = 0n; ; ) {
      const entries: LogEntry[] = await this.log.page(organizationId, after, PAGE);
      yield entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
      if (entries.length < PAGE) return;
      after = BigInt((entries.at(-1) as LogEntry).sequence);
    }
  }

  /** The organization, or the status to refuse with. */
  async #reader({ headers, ip, id }: FastifyRequest): Promise<string | 401 | 403> {
    const [, token] = /^Bearer (\S+)$/.exec(headers.authorization ?? "") ?? [];
    if (token === undefined) return 401;
    try {
      const origin = { address: ip, requestId: id };
      const { organizationId, permissions } = await this.authenticator.authenticate(token, origin);
      return permissions.has("audit:read") ? organizationId : 403;
    } catch (error) {
      if (isFault(error, "api/unauthenticated")) return 401;
      throw error;
    }
  }
}
