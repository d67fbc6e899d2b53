import "reflect-metadata";
import { NestFactory } from "@nestjs/core";
import { FastifyAdapter, type NestFastifyApplication } from "@nestjs/platform-fastify";
import { MAX_OCSP_REQUEST_BYTES } from "@sallyport/pki";
import { AppModule } from "./app.module.js";
import { type FirstCredentials, FirstStart } from "./features/operators/first-start.js";
import { serveGraphiql } from "./platform/graphql/graphiql.js";
import { NestLogger } from "./platform/log/nest-logger.js";
import type { Resources } from "./platform/platform.module.js";
import { PublicUrl } from "./platform/public-url.js";

const MAX_BODY_BYTES = 1024 * 1024;

export interface RunningApplication {
  /** Where the API listens, e.g. `http://127.0.0.1:8420`. */
  readonly url: string;
  /** Of the very first start. */
  readonly first: FirstCredentials | undefined;
  readonly nest: NestFastifyApplication;
  /** Lets requests and jobs that run end. */
  close(): Promise<void>;
}

/** The application over its resources. The database has been migrated. */
export async function startApplication(resources: Resources): Promise<RunningApplication> {
  const { config, log } = resources;
  const adapter = new FastifyAdapter({ bodyLimit: MAX_BODY_BYTES, trustProxy: false, forceCloseConnections: true });
  // Whoever asks about a certificate sends DER, and little of it.
  adapter
    .getInstance()
    .addContentTypeParser(
      "application/ocsp-request",
      { parseAs: "buffer", bodyLimit: MAX_OCSP_REQUEST_BYTES },
      (_request, body, done) => done(null, body),
    );
  const nest = await NestFactory.create<NestFastifyApplication>(AppModule.register(resources), adapter, {
    logger: new NestLogger(log),
    abortOnError: false,
  });
  try {
    if (config.development) serveGraphiql(adapter.getInstance());
    await nest.init();
    const first = await nest.get(FirstStart).run();
    const { host, port } = config.roles.has("api") ? config.listen : { host: "127.0.0.1", port: 0 };
    await nest.listen(port, host);
    const url = (await nest.getUrl()).replace("[::1]", "localhost");
    nest.get(PublicUrl).listening(url);
    return { url, first, nest, close: () => nest.close() };
  } catch (error) {
    await nest.close().catch(() => {});
    throw error;
  }
}
