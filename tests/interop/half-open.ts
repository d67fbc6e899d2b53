import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

const payload = (next: number, body: Buffer) => {
  const header = Buffer.alloc(4);
  header.writeUInt8(next, 0);
  header.writeUInt16BE(4 + body.length, 2);
  return Buffer.concat([header, body]);
};
/** RFC 7296 §3.3.2; with a key length attribute when `bits` is given. */
const transform = (type: number, id: number, last: boolean, bits?: number) => {
  const bytes = Buffer.alloc(bits === undefined ? 8 : 12);
  bytes.writeUInt8(last ? 0 : 3, 0);
  bytes.writeUInt16BE(bytes.length, 2);
  bytes.writeUInt8(type, 4);
  bytes.writeUInt16BE(id, 6);
  if (bits !== undefined) {
    bytes.writeUInt16BE(0x800e, 8);
    bytes.writeUInt16BE(bits, 10);
  }
  return bytes;
};

/** An IKE_SA_INIT request of a caller that will never go on: AES-CBC-256, HMAC-SHA2-256, the given group. */
function request(group: { readonly id: number; readonly publicBytes: number }): Buffer {
  const transforms = [
    transform(1, 12, false, 256),
    transform(2, 5, false),
    transform(3, 12, false),
    transform(4, group.id, true),
  ];
  const length = transforms.reduce((sum, t) => sum + t.length, 8);
  const proposal = Buffer.from([0, 0, length >> 8, length & 255, 1, 1, 0, transforms.length]);
  const sa = payload(34, Buffer.concat([proposal, ...transforms]));
  const ke = payload(40, Buffer.concat([Buffer.from([0, group.id, 0, 0]), randomBytes(group.publicBytes)]));
  const nonce = payload(0, randomBytes(32));
  const header = Buffer.alloc(28);
  randomBytes(8).copy(header);
  header.writeUInt8(33, 16);
  header.writeUInt8(0x20, 17);
  header.writeUInt8(34, 18);
  header.writeUInt8(0x08, 19);
  const message = Buffer.concat([header, sa, ke, nonce]);
  message.writeUInt32BE(message.length, 24);
  return message;
}

const X25519 = { id: 31, publicBytes: 32 };

/** As long as callers wait before they repeat a request that nobody answered, and how often these do. */
const PATIENCE_MS = 500;
const TIMES = 4;

/**
 * Sends `perSource` such requests from each source address to port 500 of `target`, and repeats them as callers do, since who is
 * called by many at once may let first messages fall; runs in the namespace of the sources.
 */
export async function openHalf(sources: readonly string[], target: string, perSource: number): Promise<void> {
  const callers = await Promise.all(
    sources.map(async (source) => {
      const socket = createSocket("udp4");
      socket.bind(0, source);
      await once(socket, "listening");
      return { socket, requests: Array.from({ length: perSource }, () => request(X25519)) };
    }),
  );
  for (let time = 0; time < TIMES; time++) {
    if (time > 0) await delay(PATIENCE_MS);
    for (const { socket, requests } of callers) {
      for (const message of requests) await new Promise((resolve) => socket.send(message, 500, target, resolve));
    }
  }
  for (const { socket } of callers) socket.close();
}
