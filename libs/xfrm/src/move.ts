import type { SaId, SaSpec } from "@sallyport/dataplane";
import { NetlinkReader, NetlinkWriter } from "@sallyport/linux-io";
import { fault } from "./faults.js";
import { saText, type XfrmNetlink } from "./netlink.js";
import { SIZE, XFRM_INF, XFRM_MSG, XFRM_STATE, XFRMA } from "./wire/constants.js";
import { decodeSa, type KernelSa, writeEncapsulation } from "./wire/sa.js";
import { familyNumber, writeAddress } from "./wire/structures.js";

export type Target = Pick<SaSpec, "source" | "destination" | "encapsulation">;

/**
 * Numbers left out when an outbound SA is added anew, so that none is used twice by packets that leave between reading the
 * counter and removing the SA. A number twice is a nonce twice with an AEAD (RFC 4106 §2).
 */
const SEQUENCE_MARGIN = 4096n;

/** Of `flags` in struct xfrm_usersa_info. */
const FLAGS_OFFSET = 216;

/** Attributes that NEWSA and UPDSA take back as the kernel gave them. */
const KEPT: ReadonlySet<number> = new Set([XFRMA.algCrypt, XFRMA.algAead, XFRMA.algAuthTrunc]);

function writeReplay(writer: NetlinkWriter, value: NetlinkReader, sequence: bigint, out: boolean): void {
  writer.attribute(XFRMA.replayEsnVal, (w) => {
    const words = value.u32("bmp_len");
    const [oseq, seq, oseqHigh, seqHigh] = ["oseq", "seq", "oseq_hi", "seq_hi"].map((field) => value.u32(field));
    const low = Number(sequence & 0xffffffffn);
    const high = Number(sequence >> 32n);
    w.u32(words);
    if (out) w.u32(low).u32(0).u32(high).u32(0);
    else
      w.u32(oseq ?? 0)
        .u32(seq ?? 0)
        .u32(oseqHigh ?? 0)
        .u32(seqHigh ?? 0);
    w.u32(value.u32("replay_window")).bytes(value.bytes(words * 4, "bmp"));
  });
}

/** Where an outbound SA that is added anew goes on. */
function sequenceAfter(current: Uint8Array, before: KernelSa): bigint {
  const extended = ((current[FLAGS_OFFSET] ?? 0) & XFRM_STATE.esn) !== 0;
  const last = (1n << (extended ? 64n : 32n)) - 1n;
  const next = before.sequence + SEQUENCE_MARGIN;
  return next > last ? last : next;
}

/**
 * struct xfrm_lifetime_cfg with what is left of each limit, since counters and age begin anew. A soft limit that was passed
 * was announced and is not set again.
 */
function writeRemaining(writer: NetlinkWriter, reader: NetlinkReader, used: KernelSa, age: number): void {
  const spent = [used.bytes, used.bytes, used.packets, used.packets, BigInt(age), BigInt(age)];
  spent.forEach((amount, index) => {
    const limit = reader.u64("limit");
    const soft = index % 2 === 0;
    const none = index < 4 ? XFRM_INF : 0n;
    if (limit === none) writer.u64(none);
    else if (limit > amount) writer.u64(limit - amount);
    else writer.u64(soft ? none : 1n);
  });
  writer.bytes(reader.bytes(16, "use limits"));
}

/** The body of NEWSA or UPDSA that says what `current` says, at other addresses and ports. */
function encodeMoved(current: Uint8Array, before: KernelSa, to: Target, anew: boolean): Uint8Array {
  const out = before.direction === "out";
  const reader = new NetlinkReader(current);
  const writer = new NetlinkWriter(1024);
  writer.bytes(reader.bytes(SIZE.selector, "sel"));
  writeAddress(writer, to.destination);
  reader.skip(16);
  writer.bytes(reader.bytes(8, "spi and proto"));
  writeAddress(writer, to.source);
  reader.skip(16);
  if (anew) writeRemaining(writer, reader, before, Math.max(0, Math.floor(Date.now() / 1000) - before.addedAt));
  else writer.bytes(reader.bytes(64, "lft"));
  writer.zero(32 + 12 + 4);
  reader.skip(32 + 12 + 4);
  writer.bytes(reader.bytes(4, "reqid")).u16(familyNumber(to.destination.family));
  reader.skip(2);
  writer.bytes(reader.bytes(10, "mode, window and flags"));
  for (const [type, value] of reader.attributes()) {
    if (type === XFRMA.replayEsnVal) writeReplay(writer, value, sequenceAfter(current, before), out);
    else if (KEPT.has(type)) writer.attribute(type, (w) => w.bytes(value.bytes(value.remaining, "attribute")));
  }
  if (to.encapsulation) writeEncapsulation(writer, to.encapsulation);
  return writer.done();
}

/**
 * Moves an SA. When only ports of an encapsulation change the kernel does it in place. It cannot change addresses of one SA
 * (XFRM_MSG_MIGRATE names SAs by reqid and addresses, so that during a rekey it may move the wrong one), so that the SA is
 * added anew with its keys, lifetimes and replay state: before the old one goes when the destination differs, else in the
 * same system call. The kernel then counts octets, packets and age from zero: `before` holds what it told last.
 */
export async function moveSa(netlink: XfrmNetlink, id: SaId, to: Target): Promise<{ before: KernelSa; anew: boolean }> {
  const doing = `moving SA ${saText(id)}`;
  const current = await netlink.readSa(id);
  if (!current) throw fault("dataplane/refused", `${doing} failed: there is none`, { field: "spi", value: "ESRCH" });
  const before = decodeSa(current);
  try {
    const sameAddresses = before.source.equals(to.source) && before.destination.equals(to.destination);
    if (sameAddresses && Boolean(before.encapsulation) === Boolean(to.encapsulation)) {
      if (to.encapsulation)
        await netlink.request(XFRM_MSG.updSa, encodeMoved(current, before, to, false), doing, "encapsulation");
      return { before, anew: false };
    }
    const add = () => netlink.request(XFRM_MSG.newSa, encodeMoved(current, before, to, true), doing, "destination");
    if (!before.destination.equals(to.destination)) {
      await add();
      await netlink.removeSa(id);
      return { before, anew: true };
    }
    const removed = netlink.removeSa(id);
    const added = add();
    await removed;
    await added;
    return { before, anew: true };
  } finally {
    current.fill(0);
  }
}
