import type { IpAddress } from "@sallyport/base";
import type { IpsecProtocol, SaId, SaLifetime, SaMode, SaSpec, SaState } from "@sallyport/dataplane";
import { NetlinkReader, NetlinkWriter } from "@sallyport/linux-io";
import { writeAlgorithms } from "./algorithms.js";
import { IPPROTO, OWNED, SIZE, UDP_ENCAP_ESPINUDP, XFRM_INF, XFRM_MODE, XFRM_STATE, XFRMA } from "./constants.js";
import {
  addressFrom,
  familyNumber,
  protocolFrom,
  readSelector,
  writeAddress,
  writeId,
  writeSaId,
  writeSelector,
} from "./structures.js";

/** struct xfrm_lifetime_cfg. */
export function writeLifetime(writer: NetlinkWriter, lifetime: SaLifetime): void {
  const size = (value: bigint | undefined) => writer.u64(value ?? XFRM_INF);
  const seconds = (value: number | undefined) => writer.u64(BigInt(Math.ceil(value ?? 0)));
  size(lifetime.softBytes);
  size(lifetime.hardBytes);
  size(lifetime.softPackets);
  size(lifetime.hardPackets);
  seconds(lifetime.softSeconds);
  seconds(lifetime.hardSeconds);
  writer.zero(16);
}

export type Encapsulation = NonNullable<SaSpec["encapsulation"]>;

/** XFRMA_ENCAP: struct xfrm_encap_tmpl. */
export function writeEncapsulation(writer: NetlinkWriter, encapsulation: Encapsulation): void {
  writer.attribute(XFRMA.encap, (w) => {
    w.u16(UDP_ENCAP_ESPINUDP).be16(encapsulation.sourcePort).be16(encapsulation.destinationPort).zero(18);
  });
}

/**
 * XFRMA_REPLAY_ESN_VAL: struct xfrm_replay_state_esn, used with and without ESN since it alone allows windows above 32.
 * A sequence number to go on from counts for the SA's own direction.
 */
function writeReplay(writer: NetlinkWriter, sa: SaSpec): void {
  const sequence = sa.initialSequence ?? 0n;
  const low = Number(sequence & 0xffffffffn);
  const high = Number(sequence >> 32n);
  // The kernel takes no ESN without a window, also where nothing is received.
  const window = sa.direction === "out" && sa.esn ? Math.max(1, sa.replayWindow) : sa.replayWindow;
  const words = Math.ceil(window / 32);
  const out = sa.direction === "out";
  writer.attribute(XFRMA.replayEsnVal, (w) => {
    w.u32(words)
      .u32(out ? low : 0)
      .u32(out ? 0 : low)
      .u32(out ? high : 0)
      .u32(out ? 0 : high)
      .u32(window);
    // Everything up to the number that was accepted last counts as seen.
    for (let word = 0; word < words; word++) w.u32(!out && sequence > 0n ? 0xffffffff : 0);
  });
}

function writeUserSaInfo(writer: NetlinkWriter, sa: SaSpec): void {
  const { selectors, mode } = sa;
  const only = mode === "transport" && selectors.length === 1 ? selectors[0] : undefined;
  writeSelector(writer, only, OWNED[sa.direction]);
  writeId(writer, sa);
  writeAddress(writer, sa.source);
  writeLifetime(writer, sa.lifetime);
  writer
    .zero(32 + 12 + 4)
    .u32(sa.reqid)
    .u16(familyNumber(sa.destination.family))
    .u8(XFRM_MODE[mode])
    .u8(0);
  const clear = sa.dontFragment === "clear" ? XFRM_STATE.noPmtuDisc : 0;
  writer.u8((only ? 0 : XFRM_STATE.afUnspec) | (sa.esn ? XFRM_STATE.esn : 0) | clear).align(8);
}

/** Body of XFRM_MSG_NEWSA and XFRM_MSG_UPDSA. Holds keys: wipe it. */
export function encodeSa(sa: SaSpec): Uint8Array {
  const writer = new NetlinkWriter(1024);
  writeUserSaInfo(writer, sa);
  writeAlgorithms(writer, sa);
  if (sa.encapsulation) writeEncapsulation(writer, sa.encapsulation);
  const { tfc } = sa;
  if (tfc && sa.direction === "out") writer.attribute(XFRMA.tfcPad, (w) => w.u32(tfc));
  writeReplay(writer, sa);
  return writer.done();
}

export function encodeSaId(id: SaId): Uint8Array {
  const writer = new NetlinkWriter(SIZE.userSaId);
  writeSaId(writer, id);
  return writer.done();
}

export interface SpiRequest {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: IpsecProtocol;
  readonly mode: SaMode;
  readonly reqid: number;
}

/** Body of XFRM_MSG_ALLOCSPI: any SPI that RFC 4303 §2.1 leaves free. */
export function encodeSpiRequest(request: SpiRequest): Uint8Array {
  const writer = new NetlinkWriter(SIZE.userSpiInfo);
  writeSelector(writer, undefined, 0);
  writeAddress(writer, request.destination);
  writer.u32(0).u8(IPPROTO[request.protocol]).zero(3);
  writeAddress(writer, request.source);
  writer
    .zero(64 + 32 + 12 + 4)
    .u32(request.reqid)
    .u16(familyNumber(request.destination.family));
  writer.u8(XFRM_MODE[request.mode]).zero(2).align(8);
  return writer.u32(0x100).u32(0xffffffff).done();
}

/** What the kernel tells of an SA, with wall-clock times in seconds (0: never). */
export interface KernelSa extends Omit<SaState, "ageSeconds" | "idleSeconds"> {
  /** The `user` word of its selector. */
  readonly user: number;
  readonly addedAt: number;
  readonly lastUsedAt: number;
}

/** struct xfrm_usersa_info and its attributes. Keys are passed over. */
export function decodeSa(body: Uint8Array): KernelSa {
  const reader = new NetlinkReader(body);
  const { user } = readSelector(reader);
  const destination = reader.bytes(16, "daddr");
  const spi = reader.be32("spi");
  const protocol = protocolFrom(reader.u8("proto"));
  const source = reader.skip(3).bytes(16, "saddr");
  const bytes = reader.skip(64).u64("bytes");
  const packets = reader.u64("packets");
  const addedAt = Number(reader.u64("add_time"));
  const firstUsedAt = Number(reader.u64("use_time"));
  const outOfWindow = reader.u32("replay_window");
  const replayed = reader.u32("replay");
  const integrityFailures = reader.u32("integrity_failed");
  const reqid = reader.skip(4).u32("reqid");
  const family = reader.u16("family");
  const mode = reader.u8("mode") === XFRM_MODE.tunnel ? "tunnel" : "transport";
  const attributes = reader.skip(SIZE.userSaInfo - 215).attributes();
  const direction = user === OWNED.out ? "out" : "in";
  const encap = attributes.get(XFRMA.encap)?.skip(2);
  const replay = attributes.get(XFRMA.replayEsnVal)?.skip(4);
  const numbers = replay && [replay.u32("oseq"), replay.u32("seq"), replay.u32("oseq_hi"), replay.u32("seq_hi")];
  const [low = 0, high = 0] = direction === "out" ? [numbers?.[0], numbers?.[2]] : [numbers?.[1], numbers?.[3]];
  const replayWindow = replay?.u32("replay_window") ?? 0;
  const lastUsedAt = Number(attributes.get(XFRMA.lastUsed)?.u64("lastused") ?? 0n);
  return {
    user,
    destination: addressFrom(destination, family),
    spi,
    protocol,
    source: addressFrom(source, family),
    direction,
    mode,
    reqid,
    bytes,
    packets,
    replayed,
    integrityFailures,
    outOfWindow,
    replayWindow,
    addedAt,
    lastUsedAt: lastUsedAt || firstUsedAt,
    sequence: (BigInt(high) << 32n) | BigInt(low),
    ...(encap ? { encapsulation: { sourcePort: encap.be16("sport"), destinationPort: encap.be16("dport") } } : {}),
  };
}
