import http2 from "node:http2";
import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import { AgentServer } from "../src/features/agents/agent-server.js";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";

let cp: TestControlPlane;
const made = jest.spyOn(http2, "createSecureServer");
beforeAll(async () => {
  cp = await startControlPlane();
}, 60_000);
afterAll(() => cp?.close());

test("a connection that cannot be accepted does not end the agents' listener", async () => {
  const server = made.mock.results[0]?.value as http2.Http2SecureServer;
  // The first one might be taken by whoever waited for the listening.
  for (let i = 0; i < 2; i++) {
    expect(server.emit("error", Object.assign(new Error("accept EMFILE"), { code: "EMFILE" }))).toBe(true);
  }
  expect(server.listening).toBe(true);
  const { port } = cp.application.nest.get(AgentServer, { strict: false });
  const client = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  await new Promise((resolve, reject) => client.once("connect", resolve).once("error", reject));
  client.destroy();
});
