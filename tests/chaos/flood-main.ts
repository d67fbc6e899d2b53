// Run by Node in a namespace of its own: flood-main.ts TARGET PORT PACKETS_A_SECOND SECONDS. Says how many IKE_SA_INITs left, as JSON.
import { randomBytes, randomFillSync, randomInt } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { IpAddress } from "@sallyport/base";
import { DH, EXCHANGE, encodeMessage, encryptionTransform, PRF, PROTOCOL, TRANSFORM } from "@sallyport/ike";
import { META, META_WORDS, UdpSocket } from "@sallyport/linux-io";

/** Sources are drawn from this network, all of which is an address of the namespace. */
const SOURCES = { first: 0x0a40_0000, bits: 22 };
const BATCH = 64;
const TICK_MS = 2;

const [target = "", port = "500", rate = "20000", seconds = "10"] = process.argv.slice(2);
const to = { address: IpAddress.parse(target), port: Number(port) };
/** RFC 3948 §2.2. */
const marker = new Uint8Array(to.port === 4500 ? 4 : 0);

/** An acceptable request; every copy gets another SPI and nonce. */
const nonce = randomBytes(32);
const message = encodeMessage(
  {
    initiatorSpi: 1n,
    responderSpi: 0n,
    exchange: EXCHANGE.IKE_SA_INIT,
    initiator: true,
    response: false,
    messageId: 0,
  },
  [
    {
      kind: "SA",
      proposals: [
        {
          number: 1,
          protocol: PROTOCOL.IKE,
          spi: new Uint8Array(0),
          transforms: [
            encryptionTransform("aes-cbc", 256),
            { type: TRANSFORM.INTEG, id: 12 },
            { type: TRANSFORM.PRF, id: PRF["hmac-sha2-256"].transformId },
            { type: TRANSFORM.DH, id: DH.x25519.transformId },
          ],
        },
      ],
    },
    { kind: "KE", group: DH.x25519.transformId, data: randomBytes(32) },
    { kind: "Nonce", data: nonce },
  ],
);
const request = Buffer.concat([marker, message]);
const nonceOffset = request.indexOf(nonce);

const socket = UdpSocket.open({ local: { address: IpAddress.any(4), port: 500 }, sendBufferBytes: 8 << 20 });
const slab = Buffer.alloc(BATCH * request.length);
const meta = new Uint32Array(BATCH * META_WORDS);
for (let i = 0; i < BATCH; i++) {
  slab.set(request, i * request.length);
  const record = i * META_WORDS;
  meta[record + META.offset] = i * request.length;
  meta[record + META.length] = request.length;
  meta[record + META.family] = 4;
  meta[record + META.port] = to.port;
  meta[record + META.address] = Number(to.address.toBigInt());
}

function send(count: number): number {
  for (let i = 0; i < count; i++) {
    const at = i * request.length;
    randomFillSync(slab, at + marker.length, 8);
    randomFillSync(slab, at + nonceOffset, 8);
    meta[i * META_WORDS + META.local] = SOURCES.first + 1 + randomInt(2 ** SOURCES.bits - 2);
  }
  return socket.sendBatch(slab, meta, count);
}

/** After it the machine has stood still, and its flood as well: the rest comes as it would have come. */
const STANDSTILL_MS = 500;

const perMs = Number(rate) / 1000;
let began = performance.now();
let [now, sent] = [began, 0];
while (now - began < Number(seconds) * 1000) {
  // What could not be sent in time is sent later: the rate holds on average.
  while (sent < (now - began) * perMs) {
    const taken = send(Math.min(BATCH, Math.ceil((now - began) * perMs) - sent));
    if (taken === 0) break;
    sent += taken;
  }
  const before = now;
  await delay(TICK_MS);
  now = performance.now();
  if (now - before > STANDSTILL_MS) began += now - before;
}
console.log(JSON.stringify({ sent, seconds: (performance.now() - began) / 1000 }));
socket.close();
