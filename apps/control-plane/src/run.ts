import path from "node:path";
import { isFault } from "@sallyport/base";
import type { PoolConfig } from "pg";
import type { RunningApplication } from "./application.js";
import { type Config, readConfig } from "./platform/config/config.js";
import { EmbeddedPostgres } from "./platform/database/embedded-postgres.js";
import { migrate } from "./platform/database/migrations.js";
import { createLog, type Log } from "./platform/log/log.js";
import { guardProcess } from "./platform/process-guard.js";
import { Vault } from "./platform/vault/vault.js";

const STOP_MS = 15_000;

/** Sysexits: the configuration is at fault, something that is needed does not work. */
const EXIT_CONFIG = 78;
const EXIT_UNAVAILABLE = 69;

async function database(config: Config, log: Log): Promise<{ connection: PoolConfig; server?: EmbeddedPostgres }> {
  if (config.databaseUrl !== undefined) return { connection: { connectionString: config.databaseUrl } };
  const server = await EmbeddedPostgres.start(path.join(config.home, "postgres"), log);
  return { connection: server.connection, server };
}

function announce({ url, first }: RunningApplication, config: Config): void {
  const lines = [`Sallyport listens on ${url}/graphql`];
  if (config.development) lines.push(`GraphiQL: ${url}/graphiql`);
  if (first) {
    lines.push(
      "",
      "This is the first start. None of this is shown again:",
      `  operator           ${first.email}`,
      `  one-time password  ${first.oneTimePassword}`,
      `  API token          ${first.apiToken}`,
      `                     (until ${first.apiTokenExpiresAt.toISOString().slice(0, 10)})`,
    );
  }
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** Runs until SIGTERM or SIGINT. The process ends here, with 0 after an orderly stop that was asked for. */
export async function run(environment: NodeJS.ProcessEnv): Promise<void> {
  const began = performance.timeOrigin;
  let log = createLog("info");
  let server: EmbeddedPostgres | undefined;
  let application: RunningApplication | undefined;
  let stopping = false;

  const stop = async (why: object, exitCode: number) => {
    if (stopping) return;
    stopping = true;
    log.info(why, "stopping");
    setTimeout(() => process.exit(exitCode || 1), STOP_MS).unref();
    await application?.close().catch((err: unknown) => log.error({ err }, "not everything stopped in order"));
    await server?.stop().catch((err: unknown) => log.error({ err }, "the database did not stop in order"));
    process.exit(exitCode);
  };
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => void stop({ signal }, 0));
  guardProcess(
    process,
    () => log,
    (exitCode) => void stop({ exitCode }, exitCode),
  );

  try {
    const config = readConfig(environment);
    log = createLog(config.logLevel);
    // Loading the application's modules takes as long as starting the database does.
    const loading = import("./application.js");
    loading.catch(() => {});
    const found = await database(config, log);
    server = found.server;
    const vault = await Vault.open(config);
    const { applied, unknown } = await migrate(found.connection, config.migrations);
    if (applied.length > 0) log.info({ applied }, "migrations applied");
    if (unknown.length > 0) log.warn({ unknown }, "the database was migrated by a newer version");
    const { startApplication } = await loading;
    application = await startApplication({ config, log, vault, connection: found.connection });
    log.info({ url: application.url, ms: Math.round(Date.now() - began), roles: [...config.roles] }, "ready");
    announce(application, config);
  } catch (error) {
    const configuration = isFault(error, "platform/bad-configuration");
    const { field, value, expected } = isFault(error) ? error : {};
    log.fatal({ err: configuration ? undefined : error, field, value, expected }, (error as Error).message);
    await server?.stop();
    process.exit(configuration ? EXIT_CONFIG : EXIT_UNAVAILABLE);
  }
}
