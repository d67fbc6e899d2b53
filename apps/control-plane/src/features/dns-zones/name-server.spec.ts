import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import {
  type DecodedMessage,
  decodeMessage,
  encodeMessage,
  type Message,
  signMessage,
  type TsigKey,
} from "@sallyport/dns";
import { textsAt, updateZone } from "./name-server.js";

const key: TsigKey = { name: "acme-key", algorithm: "hmac-sha256", secret: Buffer.alloc(32, 1) };
const NAME = "_acme-challenge.example.org";
const change = { change: "add", name: NAME, text: "text", ttl: 60 } as const;
/** Where the MAC of hmac-sha256 stands in a TSIG record's RDATA: after the algorithm's name, time, fudge and size. */
const MAC = { from: 23, to: 55 } as const;
const now = () => Math.floor(Date.now() / 1000);

let server: Server | undefined;
afterEach(() => server?.close());

/** Answers one message with octets, in pieces of `size`; undefined: it hangs up. */
async function answering(answer: (request: DecodedMessage) => Uint8Array | undefined, size = 10_000): Promise<string> {
  const made = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", async (chunk) => {
      const octets = answer(decodeMessage(Uint8Array.from(chunk.subarray(2))));
      if (octets === undefined) return socket.destroy();
      const length = Buffer.alloc(2);
      length.writeUInt16BE(octets.length);
      const whole = Buffer.concat([length, octets]);
      for (let at = 0; at < whole.length; at += size) {
        socket.write(whole.subarray(at, at + size));
        await new Promise((resolve) => setImmediate(resolve));
      }
      return socket;
    });
  }).listen(0, "127.0.0.1");
  server = made;
  await once(made, "listening");
  return `127.0.0.1:${(made.address() as AddressInfo).port}`;
}

const reply = (request: DecodedMessage, more: Partial<Message> = {}): Message => ({
  ...request,
  response: true,
  authorities: [],
  additionals: [],
  ...more,
});

function signed(request: DecodedMessage, more: Partial<Message> = {}, at = now()): Uint8Array {
  const requestMac = request.additionals.at(-1)?.data.slice(MAC.from, MAC.to);
  return signMessage(encodeMessage(reply(request, more)), key, at, requestMac).message;
}

describe("an update", () => {
  const update = (at: string) => updateZone(at, key, "example.org", [change]);

  it("is done when a signed answer says so, however it comes in pieces", async () => {
    await expect(update(await answering((request) => signed(request), 3))).resolves.toBeUndefined();
  });

  const refusals: [string, string, (request: DecodedMessage) => Uint8Array | undefined][] = [
    ["dns/refused", "a signed refusal", (request) => signed(request, { rcode: 5 })],
    ["dns/server-failed", "a signed failure", (request) => signed(request, { rcode: 2 })],
    ["dns/bad-signature", "an answer that anybody could give", (request) => encodeMessage(reply(request))],
    [
      "dns/bad-signature",
      "a signature that covers another request",
      (request) => signed({ ...request, additionals: [] }),
    ],
    ["dns/bad-time", "an answer of another time", (request) => signed(request, {}, now() - 400)],
    ["dns/wrong-answer", "a signed answer to another message", (request) => signed(request, { id: request.id ^ 1 })],
    ["dns/malformed", "octets", () => Buffer.alloc(40, 0xff)],
    ["dns/unreachable", "the connection's end", () => undefined],
  ];
  it.each(refusals)("ends in %s by %s", async (code, _, answer) => {
    await expect(update(await answering(answer))).rejects.toMatchObject({ code });
  });

  it("ends in dns/unreachable where nobody listens", async () => {
    const at = await answering(() => undefined);
    server?.close();
    await expect(update(at)).rejects.toMatchObject({ code: "dns/unreachable" });
  });
});

describe("texts", () => {
  const data = Buffer.from("\x04text", "latin1");
  const answers = [{ name: NAME.toUpperCase(), type: 16, class: 1, ttl: 1, data }];

  it("are what a server of the zone shows, or none", async () => {
    const shown = await answering((request) => encodeMessage(reply(request, { authoritative: true, answers })));
    expect(await textsAt(shown, NAME)).toEqual(["text"]);
    server?.close();
    const none = await answering((request) => encodeMessage(reply(request, { authoritative: true, rcode: 3 })));
    expect(await textsAt(none, NAME)).toEqual([]);
  });

  it("are not what another server remembers, or one that fails says", async () => {
    const remembered = await answering((request) => encodeMessage(reply(request, { answers })));
    await expect(textsAt(remembered, NAME)).rejects.toMatchObject({ code: "dns/server-failed" });
    server?.close();
    const failing = await answering((request) => encodeMessage(reply(request, { authoritative: true, rcode: 2 })));
    await expect(textsAt(failing, NAME)).rejects.toMatchObject({ code: "dns/server-failed", value: "SERVFAIL" });
  });
});
