import { createSocket } from "node:dgram";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { IpAddress } from "@sallyport/base";
import { UdpSocket } from "@sallyport/linux-io";
import { endKeeper, startKeeper } from "./keeper.js";

const LOOPBACK = IpAddress.parse("127.0.0.1");
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "sallyport-keeper-"));
});
afterAll(() => rm(directory, { recursive: true }));

/** Whether the port can be bound, i.e. whether nobody holds it. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createSocket("udp4");
    probe.once("error", () => resolve(false));
    probe.bind(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

it("holds a port after its owner closed it, until it is ended", async () => {
  const file = path.join(directory, "keeper.pid");
  const socket = UdpSocket.open({ local: { address: LOOPBACK, port: 0 } });
  const { port } = socket.local;
  await startKeeper(file, [socket.descriptor], 60);
  socket.close();
  expect(await isFree(port)).toBe(false);
  const pid = Number((await readFile(file, "utf8")).split(" ")[0]);
  expect(() => process.kill(pid, 0)).not.toThrow();
  await endKeeper(file);
  expect(await isFree(port)).toBe(true);
  await expect(readFile(file)).rejects.toMatchObject({ code: "ENOENT" });
});

it("ends nobody else's process, though it has the keeper's old number", async () => {
  const file = path.join(directory, "stale.pid");
  await writeFile(file, `${process.pid} 1\n`);
  await endKeeper(file);
  expect(process.exitCode).toBeUndefined();
});

it.each(["", "x y", "-1 5", "1 1", "99999999 5"])("does not mind a file that says %j", async (content) => {
  const file = path.join(directory, "odd.pid");
  await writeFile(file, content);
  await endKeeper(file);
  await expect(readFile(file)).rejects.toMatchObject({ code: "ENOENT" });
});
