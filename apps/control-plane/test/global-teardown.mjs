import { once } from "node:events";
import { rm } from "node:fs/promises";

export default async function tearDown() {
  const { folder, server, redis } = globalThis.sallyportTestServers;
  redis.kill("SIGTERM");
  await Promise.all([server.stop(), once(redis, "exit")]);
  await rm(folder, { recursive: true, force: true });
}
