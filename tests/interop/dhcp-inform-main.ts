import { createSocket } from "node:dgram";

/** `dhcp-inform-main.ts ADDRESS TARGET…`: asks each target by DHCPINFORM as Windows does and prints each answer in hexadecimal, or `none`. */
const [address = "", ...targets] = process.argv.slice(2);

const OPTIONS = [99, 130, 83, 99, 53, 1, 8, 55, 4, 6, 15, 249, 121, 255];
const request = new Uint8Array(236 + OPTIONS.length);
request.set([1, 8, 6, 0, 1, 2, 3, 4]);
request.set(address.split(".").map(Number), 12);
request.set(OPTIONS, 236);

const socket = createSocket("udp4");
await new Promise<void>((resolve) => socket.bind(68, address, resolve));
socket.setBroadcast(true);
for (const target of targets) {
  const answer = new Promise<string>((resolve) => {
    socket.once("message", (data) => resolve(data.toString("hex")));
    setTimeout(() => resolve("none"), 4_000);
  });
  socket.send(request, 67, target);
  console.log(await answer);
  socket.removeAllListeners("message");
}
socket.close();
