import { Controller, Get, Param, Post, Req, Res } from "@nestjs/common";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type OcspReply, OcspService } from "./ocsp.service.js";
import { PublishedAuthorities } from "./published-authorities.js";
import { RevocationListService } from "./revocation-list.service.js";

/** Characters of a request in a URL (RFC 5019 §5): base64 of what a GET is for. */
const MAX_GET = 2048;
/** Caches come back well before the end. */
const SHARE = 0.5;

/** What CAs publish, for everybody and without a token. Each replica answers from the database. */
@Controller("pki")
export class PkiController {
  constructor(
    private readonly published: PublishedAuthorities,
    private readonly lists: RevocationListService,
    private readonly ocsp: OcspService,
  ) {}

  @Get("ca/:id")
  async authority(@Param("id") id: string, @Res() reply: FastifyReply): Promise<void> {
    const found = await this.published.find(id);
    if (found === undefined) await reply.code(404).send();
    else await reply.header("content-type", "application/pkix-cert").send(Buffer.from(found.certificate.der));
  }

  @Get("crl/:id")
  complete(@Param("id") id: string, @Res() reply: FastifyReply): Promise<void> {
    return this.#list(id, false, reply);
  }

  @Get("delta/:id")
  delta(@Param("id") id: string, @Res() reply: FastifyReply): Promise<void> {
    return this.#list(id, true, reply);
  }

  async #list(id: string, delta: boolean, reply: FastifyReply): Promise<void> {
    const authority = await this.published.find(id);
    const found = authority && (await this.lists.current(authority, delta));
    if (!found) {
      await reply.code(404).send();
      return;
    }
    // A revocation makes a new one before this one ends: nobody shall keep it longer than a minute.
    reply.header("cache-control", "public, max-age=60").header("content-type", "application/pkix-crl");
    await reply.send(Buffer.from(found.list));
  }

  @Post("ocsp/:id")
  async posted(@Param("id") id: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    await answer(reply, await this.ocsp.reply(id, body), false);
  }

  @Get("ocsp/:id/*")
  async got(@Param("id") id: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const text = request.url.slice(request.url.indexOf(id) + id.length + 1).replace(/\?.*$/, "");
    await answer(reply, await this.ocsp.reply(id, Buffer.from(unescaped(text), "base64")), true);
  }
}

/** Nothing when it is too long or not escaped as URLs are. */
function unescaped(text: string): string {
  if (text.length > MAX_GET) return "";
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

async function answer(reply: FastifyReply, { der, cacheUntil }: OcspReply, cacheable: boolean): Promise<void> {
  reply.header("content-type", "application/ocsp-response");
  if (cacheable && cacheUntil) {
    // RFC 5019 §6.2. A minute, for a revocation must reach those who ask again.
    const seconds = Math.max(0, Math.min(60, Math.floor(((cacheUntil.getTime() - Date.now()) / 1000) * SHARE)));
    reply.header("cache-control", `public, max-age=${seconds}, no-transform`).header("expires", inSeconds(seconds));
  } else reply.header("cache-control", "no-store");
  await reply.code(200).send(Buffer.from(der));
}

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toUTCString();
