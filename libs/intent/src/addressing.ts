import { z } from "zod";
import { address, by, id, identity, isHostName, name, prefix, selector } from "./fields.js";
import type { ConnectionIntent, Identity, PoolIntent } from "./model.js";
import { parseRange, type Range, rangesOverlap, rangeText } from "./ranges.js";

const ranges = z.array(by(rangeText)).max(64);

/** What clients show and search lists take; no IDNA is done here. */
const domain = z
  .string()
  .transform((text) => text.toLowerCase().replace(/\.$/, ""))
  .refine(isHostName, "a DNS domain such as corp.example");

const told = {
  dns: z.array(address).max(8).optional(),
  splitDns: z.array(domain).max(32).optional(),
  splitInclude: z.array(prefix).max(255).optional(),
};

export const pool = z
  .strictObject({ id, name, addresses: ranges.min(1), except: ranges.optional() })
  .superRefine((p, ctx) => {
    const all = p.addresses.map(parseRange);
    all.forEach((range, i) => {
      const refuse = (message: string) => ctx.addIssue({ code: "custom", path: ["addresses", i], message });
      if (range.first.family !== all[0]?.first.family)
        refuse("addresses of one family; another family is another pool");
      else if (all.slice(0, i).some((other) => rangesOverlap(range, other)))
        refuse("addresses that are not in it already");
    });
  });

/** At most one of each family. */
const addresses = z
  .array(address)
  .max(2)
  .refine((list) => new Set(list.map((a) => a.includes(":"))).size === list.length, "at most one of each family");

export const modeConfig = z.strictObject({
  poolIds: z.array(id).max(16),
  required: z.boolean().optional(),
  addressPrefixLength: z.int().min(1).max(32).optional(),
  ...told,
  users: z
    .array(
      z.strictObject({
        identity,
        addresses: addresses.optional(),
        poolIds: z.array(id).max(16).optional(),
        reach: z.array(selector).max(255).optional(),
        sessions: z.int().min(1).max(65_535).optional(),
        ...told,
      }),
    )
    .max(100_000)
    .optional(),
  onlyUsers: z.boolean().optional(),
  peopleId: id.optional(),
});

export const addressRequest = z.strictObject({
  families: z
    .array(z.enum(["ipv4", "ipv6"]))
    .min(1)
    .max(2)
    .refine((list) => new Set(list).size === list.length, "each family once"),
  dns: z.boolean().optional(),
  hides: z.array(prefix).max(16).optional(),
});

type Connection = Pick<ConnectionIntent, "role" | "modeConfig" | "addressRequest"> & {
  readonly children: readonly { readonly localSubnets: readonly string[]; readonly startAction: string }[];
};

/** What of a connection's addressing does not fit together. */
export function checkAddressing(c: Connection, ctx: z.RefinementCtx): void {
  const refuse = (path: (string | number)[], message: string) => ctx.addIssue({ code: "custom", path, message });
  const { modeConfig: serves, addressRequest: asks } = c;
  if (asks && serves) refuse(["addressRequest"], "none, since this end gives addresses (modeConfig)");
  if (asks && c.role === "responder") refuse(["addressRequest"], "none, since only who calls can ask for addresses");
  if (asks) {
    c.children.forEach((child, i) => {
      if (child.localSubnets.length > 0 || child.startAction !== "trap") return;
      refuse(["children", i, "startAction"], "start or none: no packet can have the address that is still to be given");
    });
  }
  const keys = (serves?.users ?? []).map((u) => identityKey(u.identity));
  const seen = new Set<string>();
  keys.forEach((key, i) => {
    if (seen.has(key)) refuse(["modeConfig", "users", i, "identity"], "an identity that is not listed already");
    seen.add(key);
  });
}

const identityKey = ({ type, value }: Identity) =>
  `${type} ${type === "fqdn" || type === "email" ? value.toLowerCase() : value}`;

/** What pools and those who name them do not agree on. */
export function checkPools(
  pools: readonly PoolIntent[],
  connections: readonly Pick<ConnectionIntent, "modeConfig">[],
  ctx: z.RefinementCtx,
): void {
  const refuse = (path: (string | number)[], message: string) => ctx.addIssue({ code: "custom", path, message });
  const ids = new Set<string>();
  const taken: Range[] = [];
  pools.forEach((p, i) => {
    if (ids.has(p.id)) refuse(["pools", i, "id"], "an id that is not taken");
    ids.add(p.id);
    p.addresses.forEach((text, j) => {
      const range = parseRange(text);
      if (taken.some((other) => rangesOverlap(range, other))) {
        refuse(["pools", i, "addresses", j], "addresses that no other pool has");
      }
    });
    taken.push(...p.addresses.map(parseRange));
  });
  const owners = new Map<string, string>();
  connections.forEach(({ modeConfig: serves }, i) => {
    const known = (list: readonly string[] | undefined, path: (string | number)[]) =>
      list?.forEach((poolId, j) => {
        if (!ids.has(poolId)) refuse(["connections", i, "modeConfig", ...path, j], "the id of one of pools");
      });
    known(serves?.poolIds, ["poolIds"]);
    serves?.users?.forEach((user, k) => {
      known(user.poolIds, ["users", k, "poolIds"]);
      user.addresses?.forEach((text, j) => {
        const key = identityKey(user.identity);
        if ((owners.get(text) ?? key) !== key) {
          refuse(["connections", i, "modeConfig", "users", k, "addresses", j], "an address that is nobody else's");
        }
        owners.set(text, key);
      });
    });
  });
}
