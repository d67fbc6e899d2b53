import type { Endpoint } from "@sallyport/base";
import type { PolicyTemplate, SaId, Selector } from "@sallyport/dataplane";
import { NetlinkReader } from "@sallyport/linux-io";
import { isOwned, SIZE, XFRMA } from "./constants.js";
import { readTemplate } from "./policy.js";
import { decodeSa, type KernelSa } from "./sa.js";
import { addressFrom, familyNumber, readSaId, readSelector } from "./structures.js";

/** struct xfrm_user_acquire; undefined when the policy that asks is not ours. */
export function decodeAcquire(body: Uint8Array): { selector: Selector; template: PolicyTemplate } | undefined {
  const reader = new NetlinkReader(body).skip(24 + 16);
  const { selector } = readSelector(reader);
  const policy = readSelector(reader);
  reader.skip(SIZE.userAcquire - 40 - 2 * SIZE.selector);
  const template = reader.attributes().get(XFRMA.tmpl);
  if (!isOwned(policy.user) || !selector || !template) return undefined;
  return { selector, template: readTemplate(template) };
}

/** struct xfrm_user_expire. */
export function decodeExpire(body: Uint8Array): { sa: KernelSa; hard: boolean } {
  const reader = new NetlinkReader(body);
  const sa = decodeSa(reader.bytes(SIZE.userSaInfo, "state"));
  return { sa, hard: reader.u8("hard") !== 0 };
}

/** struct xfrm_user_mapping. */
export function decodeMapping(body: Uint8Array): { sa: SaId; reqid: number; from: Endpoint; to: Endpoint } {
  const reader = new NetlinkReader(body);
  const sa = readSaId(reader);
  const family = familyNumber(sa.destination.family);
  const reqid = reader.u32("reqid");
  const oldAddress = addressFrom(reader.bytes(16, "old_saddr"), family);
  const newAddress = addressFrom(reader.bytes(16, "new_saddr"), family);
  const oldPort = reader.be16("old_sport");
  const newPort = reader.be16("new_sport");
  return { sa, reqid, from: { address: oldAddress, port: oldPort }, to: { address: newAddress, port: newPort } };
}
