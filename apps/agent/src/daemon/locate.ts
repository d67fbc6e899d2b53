import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { IpAddress, Prefix } from "@sallyport/base";
import { fault } from "../faults.js";

const LOOKUP_LIMIT_MS = 5_000;
/** Where no peer can be: this machine itself, everybody, nobody. A hostile answer may say so. */
const UNFIT = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/127", "ff00::/8", "::ffff:0:0/96"].map((t) =>
  Prefix.parse(t),
);

/** Addresses of a DNS name, or the address itself. Answers are data of a stranger: at most 16 are looked at (hostile input 27). */
export async function resolveHost(host: string): Promise<readonly IpAddress[]> {
  try {
    return [IpAddress.parse(host)];
  } catch {
    const refuse = (cause?: unknown) =>
      fault("agent/unresolvable-host", `${host} has no address`, {
        field: "host",
        value: host,
        expected: "a name with an A or AAAA record",
        cause,
      });
    const answers = await Promise.race([
      lookup(host, { all: true }),
      new Promise<never>((_resolve, reject) => {
        setTimeout(() => reject(refuse()), LOOKUP_LIMIT_MS).unref();
      }),
    ]).catch((cause: unknown) => {
      throw refuse(cause);
    });
    const addresses = answers
      .slice(0, 16)
      .map((a) => IpAddress.parse(a.address))
      .filter((a) => !UNFIT.some((p) => p.contains(a)));
    if (addresses.length === 0) throw refuse();
    return addresses;
  }
}

/** The address that the routing table gives packets to `remote` (a connected UDP socket asks it; nothing is sent). */
export function localAddressFor(remote: IpAddress): Promise<IpAddress> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(remote.family === 4 ? "udp4" : "udp6");
    const refuse = (cause: unknown) => {
      socket.close();
      reject(
        fault("agent/no-route", `no route to ${remote}`, {
          field: "host",
          value: remote.toString(),
          expected: "a route",
          cause,
        }),
      );
    };
    socket.once("error", refuse);
    socket.connect(500, remote.toString(), () => {
      const { address } = socket.address();
      socket.close();
      resolve(IpAddress.parse(address));
    });
  });
}
