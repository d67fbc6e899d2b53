import { META, META_WORDS, type UdpSocket } from "@sallyport/linux-io";
import { EspSockets } from "./sockets.js";

const SLOT = 64;
const SOCKET = {} as UdpSocket;

/** A batch of datagrams as a socket gives it. */
function batch(...datagrams: readonly (readonly number[])[]) {
  const slab = Buffer.alloc(datagrams.length * SLOT);
  const meta = new Uint32Array(datagrams.length * META_WORDS);
  for (const [i, octets] of datagrams.entries()) {
    slab.set(octets, i * SLOT);
    meta[i * META_WORDS + META.offset] = i * SLOT;
    meta[i * META_WORDS + META.length] = octets.length;
    meta[i * META_WORDS + META.family] = 4;
  }
  return { slab, meta, count: datagrams.length };
}

const ESP = [0, 0, 1, 0, 0, 0, 0, 1, 9, 9];
const ike = (octet: number) => [0, 0, 0, 0, octet, octet, octet];

it("IKE messages and keepalives are taken out of a batch, and those that are not let through are not even looked at", () => {
  const heard: number[] = [];
  const asked: number[][] = [];
  const sockets = new EspSockets({
    sockets: [SOCKET],
    onIke: ({ data }) => heard.push(data[4] ?? 0),
    letsIke: (slab, at, length, socket) => {
      expect(socket).toBe(SOCKET);
      asked.push([...slab.subarray(at, at + length)]);
      return slab[at] !== 2;
    },
  });
  const { slab, meta, count } = batch(ESP, ike(1), [0xff], ike(2), ESP, ike(3));
  expect(sockets.takeOthersOut(SOCKET, slab, meta, count)).toBe(2);
  expect([0, 1].map((i) => meta[i * META_WORDS + META.offset])).toEqual([0, 4 * SLOT]);
  expect(heard).toEqual([1, 3]);
  expect(asked).toEqual([1, 2, 3].map((octet) => [octet, octet, octet]));
});
