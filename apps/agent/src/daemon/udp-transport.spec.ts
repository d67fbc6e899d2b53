import { IpAddress } from "@sallyport/base";
import { EXCHANGE, encodeMessage } from "@sallyport/ike";
import type { UdpSocket } from "@sallyport/linux-io";
import pino from "pino";
import { UdpTransport } from "./udp-transport.js";

const PORTS = { ike: 500, natt: 4500 };
const MARKER = new Uint8Array(4);
const header = { initiator: true, response: false, messageId: 0 };
const first = (n: number) =>
  encodeMessage(
    { ...header, initiatorSpi: 0x1_0000_0001n * BigInt(n + 1), responderSpi: 0n, exchange: EXCHANGE.IKE_SA_INIT },
    [{ kind: "Nonce", data: new Uint8Array(32) }],
  );
const later = encodeMessage({ ...header, initiatorSpi: 7n, responderSpi: 9n, exchange: EXCHANGE.INFORMATIONAL }, []);

/** A transport with one socket whose buffer is full, and how much of what comes to it is let through. */
function full(port: number) {
  let passes: Parameters<UdpSocket["onDatagram"]>[2];
  const socket = {
    local: { address: IpAddress.any(4), port },
    fill: 1,
    onDatagram: (_listener: unknown, _failed: unknown, filter: typeof passes) => {
      passes = filter;
    },
  } as unknown as UdpSocket;
  const transport = new UdpTransport([socket], PORTS, pino({ level: "silent" }));
  transport.listen(
    () => {},
    () => 0,
  );
  transport.start();
  const marker = port === PORTS.natt ? MARKER : new Uint8Array(0);
  const lets = (message: Uint8Array) => {
    const slab = Buffer.concat([marker, message]);
    return passes?.(slab, 0, slab.length) ?? true;
  };
  return { transport, lets };
}

it.each([500, 4500])("in a flood to port %i first messages are let fall and counted, others are not", (port) => {
  const { transport, lets } = full(port);
  for (let i = 0; i < 64; i++) expect(lets(later)).toBe(true);
  const passed = Array.from({ length: 100 }, (_, n) => lets(first(n))).filter(Boolean);
  expect(passed).toEqual([]);
  expect(transport.dropped).toBe(100);
  expect(lets(later)).toBe(true);
});

it("a keepalive passes, and what is shorter than any message", () => {
  const { lets } = full(PORTS.natt);
  for (let i = 0; i < 64; i++) expect(lets(new Uint8Array(i % 4))).toBe(true);
});
