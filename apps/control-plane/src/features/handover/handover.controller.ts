import { randomUUID } from "node:crypto";
import { Body, Controller, Get, Inject, Param, Post, Req, Res } from "@nestjs/common";
import { isFault } from "@sallyport/base";
import type { ProfileFile } from "@sallyport/handover";
import type { FastifyReply, FastifyRequest } from "fastify";
import { LOG, type Log } from "../../platform/log/log.js";
import { PublicUrl } from "../../platform/public-url.js";
import { AGAIN_MS, type Collector, CollectService, type Opened } from "./collect.service.js";
import { isChoice } from "./devices.js";
import { handoverFault } from "./faults.js";
import { LINK_PATH } from "./link.js";
import { choosingPage, collectedPage, type Link, refusalPage } from "./page/page.js";
import { refusalOf } from "./page/refusal.js";
import { STYLE_SOURCE } from "./page/style.js";

const COOKIE = "sallyport-handover";
const POLICY = [
  "default-src 'none'",
  `style-src ${STYLE_SOURCE}`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The page that a link leads to. A GET changes nothing, whoever sends it; a key is collected by a POST. */
@Controller(LINK_PATH)
export class HandoverController {
  constructor(
    private readonly collecting: CollectService,
    private readonly publicUrl: PublicUrl,
    @Inject(LOG) private readonly log: Log,
  ) {}

  @Get(":token")
  show(@Param("token") token: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    return this.#answer(reply, async () => {
      const choosing = "choose" in (request.query as object);
      const opened = await this.collecting.open(token, choosing ? undefined : collectorOf(request), request.ip);
      const { row, collected } = opened;
      const link = this.#link(token, opened);
      const page = collected
        ? collectedPage(link, {
            device: collected.device,
            until: collected.until,
            files: collected.files.map((f) => f.name),
            notes: collected.notes.map(({ message, value }) =>
              value === undefined ? message : `${message} (${value})`,
            ),
          })
        : choosingPage(link, row.devices.filter(isChoice), request.headers["user-agent"] ?? "");
      await reply.type("text/html; charset=utf-8").send(page);
    });
  }

  @Post(":token")
  collect(
    @Param("token") token: string,
    @Body() body: { readonly device?: unknown } | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.#answer(reply, async () => {
      const device = typeof body?.device === "string" ? body.device : "";
      const { profileId, key } = await this.collecting.collect(token, device, request.ip);
      const path = this.#path(token);
      const attributes = [
        `${COOKIE}=${profileId}.${Buffer.from(key).toString("base64url")}`,
        `Path=${path}`,
        `Max-Age=${AGAIN_MS / 1000}`,
        ...["HttpOnly", "SameSite=Strict", ...(this.publicUrl.get().startsWith("https:") ? ["Secure"] : [])],
      ];
      await reply.header("set-cookie", attributes.join("; ")).redirect(path, 303);
    });
  }

  @Get(":token/files/:index/:name")
  file(
    @Param("token") token: string,
    @Param("index") index: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.#answer(reply, async () => {
      const { collected } = await this.collecting.open(token, collectorOf(request), request.ip);
      const file = collected?.files[Number(index)];
      if (!file) throw handoverFault("handover/files-gone", "this browser has collected no such file, or too long ago");
      await download(reply, file);
    });
  }

  @Get(":token/ca.pem")
  authority(@Param("token") token: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    return this.#answer(reply, async () => download(reply, await this.collecting.authority(token, request.ip)));
  }

  #path(token: string): string {
    const { pathname } = new URL(`${this.publicUrl.get()}/${LINK_PATH}/${token}`);
    return pathname;
  }

  #link(token: string, { row }: Opened): Link {
    return {
      path: this.#path(token),
      organization: row.organization.name,
      service: row.remoteAccess.name,
      person: row.roadWarrior.name,
      hasKey: row.certificateId !== null,
      expiresAt: row.expiresAt,
    };
  }

  async #answer(reply: FastifyReply, work: () => Promise<void>): Promise<void> {
    reply.headers({
      "content-security-policy": POLICY,
      "referrer-policy": "no-referrer",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "x-robots-tag": "noindex, nofollow",
    });
    try {
      await work();
    } catch (error) {
      const known = isFault(error) && error.policy.expose ? error : undefined;
      const id = randomUUID();
      if (!known) this.log.error({ err: error, errorId: id }, "a link could not be answered");
      const { status, title, advice } = refusalOf(known?.code);
      if (status === 429) reply.header("retry-after", "60");
      await reply
        .code(status)
        .type("text/html; charset=utf-8")
        .send(refusalPage(title, advice, known?.code ?? `api/internal ${id}`));
    }
  }
}

function collectorOf({ headers }: FastifyRequest): Collector | undefined {
  const wanted = new RegExp(`(?:^|;\\s*)${COOKIE}=([0-9a-f-]{36})\\.([\\w-]{43})(?:;|$)`);
  const [, profileId, key] = wanted.exec(headers.cookie ?? "") ?? [];
  return profileId && key ? { profileId, key: Buffer.from(key, "base64url") } : undefined;
}

async function download(reply: FastifyReply, { name, mediaType, content }: ProfileFile): Promise<void> {
  const plain = name.slice(name.lastIndexOf("/") + 1);
  reply.header("content-disposition", `attachment; filename="${plain}"`).header("content-type", mediaType);
  await reply.send(Buffer.from(content));
}
