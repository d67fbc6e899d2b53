import { once } from "node:events";
import { connect, createServer } from "node:net";
import { open } from "./challenge-listeners.js";

it("stays open when a connection cannot be accepted, for want of descriptors", async () => {
  const server = createServer((socket) => socket.end("here"));
  const listener = await open(server, 0);
  const { port } = server.address() as { port: number };
  server.emit("error", Object.assign(new Error("accept EMFILE"), { code: "EMFILE" }));
  const [said] = await once(connect(port, "127.0.0.1"), "data");
  expect(String(said)).toBe("here");
  await listener.close();
});
