import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { IpAddress } from "@sallyport/base";
import { UdpSocket } from "@sallyport/linux-io";
import type { GatewayModule } from "@sallyport/testkit";
import { KernelDataPlane, prepareIkeSocket } from "@sallyport/xfrm";

const ip = async (...words: string[]) => (await promisify(execFile)("ip", words)).stdout;

/** Entries such as another IKE daemon would make, by another program. */
const STATE = ["src", "203.0.113.1", "dst", "203.0.113.2", "proto", "esp", "spi", "0x1234"];
const SELECTOR = ["src", "10.77.0.0/16", "dst", "10.78.0.0/16"];
const TEMPLATE = ["tmpl", "src", "203.0.113.1", "dst", "203.0.113.2", "proto", "esp", "mode", "tunnel"];
const KEY = `0x${"11".repeat(20)}`;

const foreign = {
  async add() {
    await ip("xfrm", "state", "add", ...STATE, "mode", "tunnel", "aead", "rfc4106(gcm(aes))", KEY, "128");
    await ip("xfrm", "policy", "add", ...SELECTOR, "dir", "out", ...TEMPLATE);
  },
  async count() {
    const [states, policies] = [await ip("xfrm", "state"), await ip("xfrm", "policy")];
    return states.split("203.0.113.1 dst").length - 1 + (policies.split("10.77.0.0/16 dst").length - 1);
  },
  async remove() {
    await ip("xfrm", "state", "delete", ...STATE.slice(0, 8));
    await ip("xfrm", "policy", "delete", ...SELECTOR, "dir", "out");
  },
};

const IKE_PORT = 500;
const QUESTION = Buffer.from("initiate");
const ANSWER = Buffer.from("respond");

/** Stands in for an IKE daemon: answers questions, and tells whether its own are answered. */
function openIke(family: 4 | 6) {
  const socket = UdpSocket.open({ local: { address: IpAddress.any(family), port: IKE_PORT } });
  prepareIkeSocket(socket);
  let answered: () => void = () => undefined;
  socket.onDatagram(({ data, from, to }) => {
    if (QUESTION.equals(data)) socket.send({ data: ANSWER, to: from, from: to });
    else if (ANSWER.equals(data)) answered();
  });
  return (to: IpAddress): Promise<boolean> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), 3000);
      answered = () => {
        clearTimeout(timer);
        resolve(true);
      };
      socket.send({ data: QUESTION, to: { address: to, port: IKE_PORT } });
    });
}

export const openGateway: GatewayModule["openGateway"] = async () => {
  for (const family of [4, 6] as const) {
    const socket = UdpSocket.open({ local: { address: IpAddress.any(family), port: 4500 } });
    prepareIkeSocket(socket, { encapsulation: true });
    // The kernel takes the ESP out; what is left would be IKE.
    socket.onDatagram(() => undefined);
  }
  const ike = { 4: openIke(4), 6: openIke(6) };
  const dataPlane = await KernelDataPlane.open({ everyAlgorithm: true });
  return { dataPlane, foreign, ike: (to) => ike[to.family](to) };
};
