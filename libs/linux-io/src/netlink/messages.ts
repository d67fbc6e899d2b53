import { fault } from "../faults.js";
import { align4, NetlinkReader, NetlinkWriter } from "./codec.js";

/** linux/netlink.h */
export const NLMSG = { noop: 1, error: 2, done: 3, overrun: 4 } as const;
export const NLM_F = {
  request: 0x1,
  multi: 0x2,
  ack: 0x4,
  dumpInterrupted: 0x10,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
  /** On an NLMSG_ERROR: the request's payload is left out, and attributes follow. */
  capped: 0x100,
  ackTlvs: 0x200,
} as const;

const HEADER = 16;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly port: number;
  /** A view of what was received. */
  readonly body: Uint8Array;
}

export function encodeMessage(type: number, flags: number, sequence: number, body: Uint8Array): Uint8Array {
  const length = HEADER + body.length;
  return new NetlinkWriter(align4(length))
    .u32(length)
    .u16(type)
    .u16(flags)
    .u32(sequence)
    .u32(0)
    .bytes(body)
    .align(4)
    .done();
}

/** The messages of one datagram. A truncated one is a fault. */
export function decodeMessages(datagram: Uint8Array): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  const reader = new NetlinkReader(datagram);
  while (reader.remaining >= HEADER) {
    const length = reader.u32("nlmsg_len");
    if (length < HEADER) {
      throw fault("linux-io/netlink-malformed", `nlmsg_len is ${length}`, {
        field: "nlmsg_len",
        value: String(length),
        expected: `at least ${HEADER}`,
      });
    }
    const type = reader.u16("nlmsg_type");
    const flags = reader.u16("nlmsg_flags");
    const sequence = reader.u32("nlmsg_seq");
    const port = reader.u32("nlmsg_pid");
    messages.push({ type, flags, sequence, port, body: reader.bytes(length - HEADER, "message") });
    reader.align(4);
  }
  return messages;
}

export interface NetlinkError {
  /** Negated errno, or 0: an acknowledgement. */
  readonly error: number;
  /** The kernel's own words (extended acknowledgement). */
  readonly text: string | undefined;
  /** Offset of the attribute at fault within the request, header included. */
  readonly offset: number | undefined;
}

/** Payload of NLMSG_ERROR: errno, the request's header (with its payload unless capped), attributes. */
export function decodeError(message: NetlinkMessage): NetlinkError {
  const reader = new NetlinkReader(message.body);
  const error = reader.i32("error");
  const requestLength = reader.u32("request length");
  if ((message.flags & NLM_F.ackTlvs) === 0) return { error, text: undefined, offset: undefined };
  const rest = message.flags & NLM_F.capped ? HEADER - 4 : align4(requestLength) - 4;
  const attributes = reader.skip(rest, "request").attributes();
  return { error, text: attributes.get(1)?.text(), offset: attributes.get(2)?.u32("offset") };
}
