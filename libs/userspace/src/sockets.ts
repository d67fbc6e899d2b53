import { type Endpoint, endpointText, type IpAddress } from "@sallyport/base";
import { type Datagram, META, META_FLAG_TRUNCATED, META_WORDS, SOL, UdpSocket } from "@sallyport/linux-io";
import { fault } from "./faults.js";
import type { UserspaceOptions } from "./options.js";
import { ROUTING_DEFAULTS } from "./routing.js";
import { addressOf } from "./selector.js";

/** Octets of socket buffers: a burst that comes while JavaScript is busy has to fit. */
const BUFFER_BYTES = 8 << 20;
/** asm-generic/socket.h */
const SO_NO_CHECK = 11;
const NAT_KEEPALIVE = 0xff;
/** RFC 3948 §2.2. */
const MARKER_OCTETS = 4;

/**
 * A socket as this adapter wants it, for `UserspaceDataPlane.create`. One of each family is enough for all local addresses.
 * `mark` keeps what it sends out of the tunnels, whatever they cover: `RoutingOptions.bypassMark`.
 */
export function openEspSocket(local: Endpoint, mark = ROUTING_DEFAULTS.bypassMark): UdpSocket {
  const socket = UdpSocket.open({
    local,
    slots: 64,
    slotBytes: 65_536,
    receiveBufferBytes: BUFFER_BYTES,
    sendBufferBytes: BUFFER_BYTES,
    // Sets DF, learns path MTUs, and fragments what is longer (RFC 4301 §8).
    mtuDiscovery: "want",
    icmpErrors: true,
    mark,
  });
  // RFC 3948 §2.1; IPv6 has no datagrams without a checksum.
  if (local.address.family === 4) socket.setOption(SOL.socket, SO_NO_CHECK, 1, "SO_NO_CHECK");
  return socket;
}

/** The sockets of ESP in UDP, shared with IKE (RFC 3948 §2). */
export class EspSockets {
  constructor(private readonly options: Pick<UserspaceOptions, "sockets" | "onIke" | "letsIke">) {}

  get sockets(): readonly UdpSocket[] {
    return this.options.sockets;
  }

  /** Takes NAT keepalives and IKE messages out of a batch; the ESP packets move to the front. Returns how many. */
  takeOthersOut(socket: UdpSocket, slab: Buffer, meta: Uint32Array, count: number): number {
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const record = i * META_WORDS;
      const at = meta[record + META.offset] as number;
      const length = meta[record + META.length] as number;
      if (length === 1 && slab[at] === NAT_KEEPALIVE) continue;
      if (length >= MARKER_OCTETS && slab.readUInt32BE(at) === 0) {
        const { onIke, letsIke } = this.options;
        const lets = letsIke?.(slab, at + MARKER_OCTETS, length - MARKER_OCTETS, socket) ?? true;
        if (lets) onIke(datagramOf(slab, meta, record), socket);
        continue;
      }
      if (kept !== i) meta.copyWithin(kept * META_WORDS, record, record + META_WORDS);
      kept++;
    }
    return kept;
  }

  /** The socket that can send from this address and port; a `dataplane/refused` when none can. */
  socketFor(local: IpAddress, port: number, field: string): UdpSocket {
    const found = this.sockets.find(
      ({ local: bound }) =>
        bound.port === port &&
        bound.address.family === local.family &&
        (bound.address.isAny || bound.address.equals(local)),
    );
    if (found) return found;
    throw fault("dataplane/refused", `no UDP socket for ${endpointText({ address: local, port })}`, {
      field,
      value: "EADDRNOTAVAIL",
      expected: this.sockets.map((socket) => endpointText(socket.local)).join(" or "),
    });
  }
}

function datagramOf(slab: Buffer, meta: Uint32Array, record: number): Datagram {
  const word = (name: keyof typeof META) => meta[record + META[name]] as number;
  const family = word("family") as 4 | 6;
  const at = word("offset");
  return {
    data: slab.subarray(at, at + word("length")),
    from: {
      address: addressOf(family, meta, record + META.address),
      port: word("port"),
    },
    to: addressOf(family, meta, record + META.local),
    interfaceIndex: word("interface"),
    tos: word("tos"),
    truncated: (word("flags") & META_FLAG_TRUNCATED) !== 0,
  };
}
