// One PostgreSQL and one Redis for a run of the database specs, both private and on unix sockets. Needs a build.
import { spawn } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { connect } from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { EmbeddedPostgres } from "../dist/platform/database/embedded-postgres.js";
import { migrate } from "../dist/platform/database/migrations.js";
import { createLog } from "../dist/platform/log/log.js";

const MIGRATIONS = path.resolve(import.meta.dirname, "../../../prisma/migrations");

async function startRedis(folder) {
  const socket = path.join(folder, "redis.sock");
  const options = ["--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", folder];
  const child = spawn("redis-server", options, { stdio: "ignore" });
  const failed = new Promise((_, reject) => child.once("error", reject));
  for (let tries = 0; tries < 1500; tries++) {
    const open = new Promise((resolve) => {
      const probe = connect(socket, () => resolve(true)).on("error", () => resolve(false));
      probe.unref();
      probe.on("connect", () => probe.end());
    });
    if (await Promise.race([open, failed])) return { child, url: `unix://${socket}` };
    await sleep(20);
  }
  throw new Error("redis-server did not start");
}

export default async function setUp() {
  const folder = await mkdtemp(path.join(os.tmpdir(), "sallyport-db-"));
  const [server, redis] = await Promise.all([
    EmbeddedPostgres.start(path.join(folder, "postgres"), createLog("error")),
    startRedis(folder),
  ]);
  await migrate(server.connection, MIGRATIONS);
  process.env.SALLYPORT_TEST_DATABASE = JSON.stringify(server.connection);
  process.env.SALLYPORT_TEST_REDIS = redis.url;
  globalThis.sallyportTestServers = { folder, server, redis: redis.child };
}
