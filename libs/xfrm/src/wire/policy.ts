import type { PolicyDirection, PolicyLevel, PolicySpec, PolicyTemplate, Selector } from "@sallyport/dataplane";
import { NetlinkReader, NetlinkWriter } from "@sallyport/linux-io";
import {
  IPPROTO,
  isOwned,
  OWNED,
  SIZE,
  XFRM_ACTION,
  XFRM_DIR,
  XFRM_MODE,
  XFRM_SHARE_UNIQUE,
  XFRMA,
} from "./constants.js";
import { writeLifetime } from "./sa.js";
import { addressFrom, familyNumber, protocolFrom, readSelector, writeAddress, writeSelector } from "./structures.js";

const ANY_ALGORITHM = 0xffffffff;
const DIRECTIONS: readonly PolicyDirection[] = ["in", "out", "fwd"];

/**
 * struct xfrm_user_tmpl. `share` is a field that the kernel keeps and does not use: it carries the level `unique`. The kernel
 * allows `optional`, the level `use`, where packets are received only.
 */
function writeTemplate(writer: NetlinkWriter, template: PolicyTemplate, direction: PolicyDirection): void {
  writeAddress(writer, template.destination);
  writer.u32(0).u8(IPPROTO[template.protocol]).zero(3).u16(familyNumber(template.destination.family)).zero(2);
  writeAddress(writer, template.source);
  writer.u32(template.reqid).u8(XFRM_MODE[template.mode]);
  writer.u8(template.level === "unique" ? XFRM_SHARE_UNIQUE : 0);
  writer.u8(template.level === "use" && direction !== "out" ? 1 : 0).zero(1);
  writer.u32(ANY_ALGORITHM).u32(ANY_ALGORITHM).u32(ANY_ALGORITHM);
}

export function readTemplate(reader: NetlinkReader): PolicyTemplate {
  const destination = reader.bytes(16, "daddr");
  const protocol = protocolFrom(reader.skip(4).u8("proto"));
  const family = reader.skip(3).u16("family");
  const source = reader.skip(2).bytes(16, "saddr");
  const reqid = reader.u32("reqid");
  const mode = reader.u8("mode") === XFRM_MODE.tunnel ? "tunnel" : "transport";
  const unique = reader.u8("share") === XFRM_SHARE_UNIQUE;
  const optional = reader.u8("optional") !== 0;
  const level: PolicyLevel = optional ? "use" : unique ? "unique" : "require";
  return {
    source: addressFrom(source, family),
    destination: addressFrom(destination, family),
    protocol,
    mode,
    reqid,
    level,
  };
}

function writePolicyInfo(writer: NetlinkWriter, policy: PolicySpec): void {
  writeSelector(writer, policy.selector, OWNED.policy);
  writeLifetime(writer, {});
  writer.zero(32).u32(policy.priority).u32(0).u8(XFRM_DIR[policy.direction]);
  writer.u8(policy.action === "discard" ? XFRM_ACTION.block : XFRM_ACTION.allow).align(8);
}

/** Body of XFRM_MSG_NEWPOLICY and XFRM_MSG_UPDPOLICY. */
export function encodePolicy(policy: PolicySpec): Uint8Array {
  const writer = new NetlinkWriter(SIZE.userPolicyInfo + SIZE.userTemplate + 8);
  writePolicyInfo(writer, policy);
  const { template, direction } = policy;
  if (template) writer.attribute(XFRMA.tmpl, (w) => writeTemplate(w, template, direction));
  return writer.done();
}

/** Body of XFRM_MSG_DELPOLICY. */
export function encodePolicyId(direction: PolicyDirection, selector: Selector): Uint8Array {
  const writer = new NetlinkWriter(SIZE.userPolicyId);
  writeSelector(writer, selector, OWNED.policy);
  return writer.u32(0).u8(XFRM_DIR[direction]).align(8).done();
}

/** Value of the socket option IP_XFRM_POLICY that lets a socket's own packets pass all policies (CORE-11). */
export function encodeBypass(direction: "in" | "out", family: 4 | 6): Uint8Array {
  const writer = new NetlinkWriter(SIZE.userPolicyInfo);
  writer.zero(40).u16(familyNumber(family)).zero(14);
  writeLifetime(writer, {});
  return writer.zero(40).u8(XFRM_DIR[direction]).u8(XFRM_ACTION.allow).align(8).done();
}

/** struct xfrm_userpolicy_info and its template; undefined when it is not ours. */
export function decodePolicy(body: Uint8Array): PolicySpec | undefined {
  const reader = new NetlinkReader(body);
  const { selector, user } = readSelector(reader);
  const priority = reader.skip(96).u32("priority");
  const direction = DIRECTIONS[reader.skip(4).u8("dir")];
  const action = reader.u8("action");
  if (!isOwned(user) || !selector || !direction) return undefined;
  const template = reader.skip(6).attributes().get(XFRMA.tmpl);
  if (action === XFRM_ACTION.block) return { direction, selector, priority, action: "discard" };
  if (!template) return { direction, selector, priority, action: "none" };
  return { direction, selector, priority, action: "encrypt", template: readTemplate(template) };
}
