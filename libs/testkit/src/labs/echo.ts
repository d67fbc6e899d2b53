import { IpAddress } from "@sallyport/base";
import { ECHO_PORTS, type EchoRequest, type EchoResult } from "@sallyport/dataplane";
import { UdpSocket } from "@sallyport/linux-io";

/** How long the last of several replies may be late. */
const LATE_MS = 1500;

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Answers every datagram to the echo ports, from the address that it was sent to. */
export function answerEchoes(): void {
  for (const family of [4, 6] as const) {
    for (const port of ECHO_PORTS) {
      const socket = UdpSocket.open({ local: { address: IpAddress.any(family), port } });
      socket.onDatagram(({ data, from, to }) => {
        try {
          socket.send({ data, to: from, from: to });
        } catch {
          // The way back is closed: the asking host counts it as lost.
        }
      });
    }
  }
}

/** Sends numbered datagrams and counts those that come back unchanged. */
export async function echo(request: EchoRequest): Promise<EchoResult> {
  const { to, count = 5, size = 64, intervalMs = 5, waitMs = 500, fromPort = 0, toPort = ECHO_PORTS[0] } = request;
  const socket = UdpSocket.open({ local: { address: IpAddress.any(to.family), port: fromPort } });
  const returned = new Set<number>();
  const payload = (index: number) => {
    const data = Buffer.alloc(Math.max(size, 4), index & 0xff);
    data.writeUInt32BE(index);
    return data;
  };
  socket.onDatagram(({ data }) => {
    const index = Buffer.from(data).readUInt32BE();
    if (payload(index).equals(data)) returned.add(index);
  });
  try {
    for (let index = 0; index < count; index++) {
      try {
        socket.send({ data: payload(index), to: { address: to, port: toPort } });
      } catch {
        // Refused on the spot: never answered.
      }
      if (intervalMs > 0) await sleep(intervalMs);
    }
    // Where some came back the others are likely to be late.
    const patience = () => (returned.size > 0 ? Math.max(waitMs, LATE_MS) : waitMs);
    for (let waited = 0; returned.size < count && waited < patience(); waited += 5) await sleep(5);
    return { sent: count, received: returned.size };
  } finally {
    socket.close();
  }
}
