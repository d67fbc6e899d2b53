import { IpAddress, isFault } from "@sallyport/base";
import { MAX_SELECTORS, toSelectors } from "@sallyport/ike";
import { z } from "zod";
import { addressRequest, checkAddressing, checkPools, modeConfig, pool } from "./addressing.js";
import { certificate, checkAnchors, checkRounds, localAuth, peerAuth, ppk } from "./authentication.js";
import { checkEap, checkUsers, eapUserSet } from "./eap.js";
import { fault } from "./faults.js";
import { address, der, id, identity, isHostName, name, prefix, selector } from "./fields.js";
import { type GatewayIntent, INTENT_SCHEMA } from "./model.js";
import { type ProposalUse, parseProposals } from "./proposals.js";
import { parseSelector } from "./selectors.js";

// One octet counts the selectors of a payload, RFC 7296 §3.13.
const selectors = z.array(selector).max(255);
const host = z.string().transform((text, ctx) => {
  if (isHostName(text)) return text.toLowerCase();
  try {
    return IpAddress.parse(text).toString();
  } catch {
    ctx.addIssue({ code: "custom", message: "an IP address or a DNS name" });
    return z.NEVER;
  }
});
const port = z.int().min(1).max(65_535);
const seconds = z.int().min(1).max(31_536_000);

const proposals = (use: ProposalUse) =>
  z
    .array(z.string())
    .min(1)
    .max(64)
    .superRefine((texts, ctx) => {
      try {
        parseProposals(texts, use);
      } catch (error) {
        ctx.addIssue({ code: "custom", message: isFault(error) ? error.message : String(error) });
      }
    });

/** Whether a data plane could not hold the policies for these selectors. */
function tooFine(local: readonly string[], remote: readonly string[]): boolean {
  const ranges = (texts: readonly string[]) => texts.map((text) => parseSelector(text));
  return local.length > 0 && remote.length > 0 && toSelectors(ranges(local), ranges(remote)) === undefined;
}

const ports = z.strictObject({ ike: port, natt: port });

const child = z.strictObject({
  id,
  name,
  mode: z.enum(["tunnel", "transport"]),
  localSubnets: selectors,
  remoteSubnets: selectors,
  espProposals: proposals("esp"),
  rekeySeconds: seconds,
  rekeyBytes: z.int().min(1_000_000).optional(),
  dontFragment: z.enum(["copy", "set", "clear"]).optional(),
  pathMtu: z.int().min(576).max(9_216).optional(),
  clampMss: z.boolean().optional(),
  rekeyPackets: z.int().min(1_000).max(3_000_000_000).optional(),
  replayWindow: z
    .int()
    .refine((n) => n === 0 || (n >= 32 && n <= 4096), "32 to 4096 packets, or 0")
    .optional(),
  tfcBytes: z.int().min(64).max(65_535).optional(),
  startAction: z.enum(["start", "trap", "none"]),
  dpdAction: z.enum(["clear", "restart", "trap"]).optional(),
  level: z.enum(["require", "unique", "use"]).optional(),
  template: z.enum(["port-override", "port-strict"]).optional(),
});

const mobike = z.strictObject({
  enabled: z.boolean().optional(),
  addresses: z.array(address).max(8).optional(),
  acceptFrom: z.array(prefix).min(1).max(64).optional(),
  checkRoutability: z.boolean().optional(),
  forbidNat: z.boolean().optional(),
});

const connection = z
  .strictObject({
    id,
    name,
    role: z.enum(["initiator", "responder", "both"]),
    remote: z.strictObject({ host: host.optional(), from: z.array(prefix).min(1).max(64).optional(), ports }),
    ikeProposals: proposals("ike"),
    local: localAuth,
    peer: peerAuth,
    localRounds: z.array(localAuth).min(1).max(3).optional(),
    peerRounds: z.array(peerAuth).min(1).max(3).optional(),
    ppk: ppk.optional(),
    ikeRekeySeconds: seconds,
    dpd: z.strictObject({ intervalSeconds: z.int().min(0).max(86_400) }),
    localAddress: address.optional(),
    initialContact: z.boolean().optional(),
    uniqueness: z.enum(["replace", "keep", "never"]).optional(),
    sasPerIdentity: z.int().min(1).max(65_535).optional(),
    retransmission: z
      .strictObject({
        initialMilliseconds: z.int().min(50).max(60_000),
        backoff: z.number().min(1).max(10),
        longestMilliseconds: z.int().min(50).max(600_000),
        tries: z.int().min(1).max(50),
      })
      .optional(),
    keyingTries: z.int().min(0).max(1_000).optional(),
    mobike: mobike.optional(),
    natKeepaliveSeconds: z.int().min(0).max(3_600).optional(),
    forceEncapsulation: z.boolean().optional(),
    fragmentBytes: z.union([z.literal(0), z.int().min(576).max(65_535)], "0, or 576 to 65535").optional(),
    window: z.int().min(1).max(16).optional(),
    reauthentication: z
      .strictObject({ seconds, mode: z.enum(["make-before-break", "break-before-make"]).optional() })
      .optional(),
    authLifetimeSeconds: seconds.optional(),
    modeConfig: modeConfig.optional(),
    addressRequest: addressRequest.optional(),
    children: z.array(child).min(1).max(256),
  })
  .superRefine((c, ctx) => {
    checkAddressing(c, ctx);
    checkEap(c, ctx);
    checkRounds(c, ctx);
    c.children.forEach((x, j) => {
      if (x.template === undefined || x.startAction === "none") return;
      ctx.addIssue({
        code: "custom",
        path: ["children", j, "startAction"],
        message: "none, since a template only answers",
      });
    });
    c.children.forEach((x, j) => {
      if (!tooFine(x.localSubnets, x.remoteSubnets)) return;
      const message = `selectors that make at most ${MAX_SELECTORS} pairs of prefixes and blocks of ports, and at least one`;
      ctx.addIssue({ code: "custom", path: ["children", j, "remoteSubnets"], message });
    });
    if (c.role !== "responder" && c.remote.host === undefined) {
      ctx.addIssue({ code: "custom", path: ["remote", "host"], message: "an address or a name, since this end calls" });
    }
  });

const policy = z.discriminatedUnion("action", [
  z.strictObject({ action: z.enum(["discard", "none"]), id, name, local: selectors.min(1), remote: selectors.min(1) }),
  z.strictObject({ action: z.literal("encrypt"), child: id.optional() }),
]);

function unrepeated(ids: readonly string[], path: (i: number) => (string | number)[], ctx: z.RefinementCtx) {
  const seen = new Set<string>();
  ids.forEach((value, i) => {
    if (seen.has(value)) ctx.addIssue({ code: "custom", path: path(i), message: `an id that is not taken` });
    seen.add(value);
  });
}

/** More are a firewall's business. */
const MAX_POLICIES = 256;

/** Every place is for something that exists, nothing has two, and the tunnels have one. */
function checkPolicies(v: Pick<GatewayIntent, "connections" | "policies">, ctx: z.RefinementCtx): void {
  const list = v.policies ?? [];
  const refuse = (path: (string | number)[], message: string) =>
    ctx.addIssue({ code: "custom", path: ["policies", ...path], message });
  const children = new Set(v.connections.flatMap((c) => c.children.map((x) => x.id)));
  const taken = new Set<string>();
  list.forEach((p, i) => {
    const key = p.action === "encrypt" ? (p.child ?? "") : `${p.id} `;
    const field = p.action === "encrypt" ? "child" : "id";
    if (taken.has(key))
      refuse([i, field], key === "" ? "one place for all other tunnels" : "an id that has no place yet");
    taken.add(key);
    if (p.action === "encrypt" && p.child !== undefined && !children.has(p.child)) {
      refuse([i, "child"], "the id of one of the connections' children");
    }
    if (p.action !== "encrypt" && tooFine(p.local, p.remote)) {
      refuse(
        [i, "remote"],
        `selectors that make at most ${MAX_SELECTORS} pairs of prefixes and blocks of ports, and at least one`,
      );
    }
  });
  if (list.length > 0 && !taken.has("")) {
    refuse([], 'an entry { "action": "encrypt" } that says where the tunnels stand');
  }
}

const trustAnchor = z.strictObject({
  id,
  der,
  revocation: z.enum(["strict", "relaxed", "off"], { error: "strict, relaxed or off" }).optional(),
  crls: z.array(der).max(4).optional(),
});

const intent = z
  .strictObject({
    schema: z.literal(INTENT_SCHEMA),
    revision: z.int().min(0),
    gateway: z.strictObject({ id, name }),
    identity,
    ports,
    certificate: certificate.optional(),
    trustAnchors: z.array(trustAnchor).max(256),
    eapUsers: z.array(eapUserSet).max(64).optional(),
    pools: z.array(pool).max(1_000).optional(),
    connections: z.array(connection).max(10_000),
    policies: z.array(policy).max(MAX_POLICIES).optional(),
    options: z.strictObject({
      commitConfirmSeconds: z.int().min(5).max(3_600),
      reportSeconds: z.int().min(1).max(3_600),
    }),
  })
  .superRefine((v, ctx) => {
    unrepeated(
      v.trustAnchors.map((t) => t.id),
      (i) => ["trustAnchors", i, "id"],
      ctx,
    );
    unrepeated(
      v.connections.map((c) => c.id),
      (i) => ["connections", i, "id"],
      ctx,
    );
    const at = v.connections.flatMap((c, i) => c.children.map((_, j) => ["connections", i, "children", j, "id"]));
    unrepeated(
      v.connections.flatMap((c) => c.children.map((x) => x.id)),
      (i) => at[i] as (string | number)[],
      ctx,
    );
    checkPolicies(v, ctx);
    checkPools(v.pools ?? [], v.connections, ctx);
    checkUsers(v, ctx);
    checkAnchors(v, ctx);
  });

/** `["connections", 0, "name"]` → `connections[0].name`. */
function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? String(key) : `${text}.${String(key)}`;
  }, "");
}

function valueAt(root: unknown, path: readonly PropertyKey[]): string | undefined {
  if (path.at(-1) === "secret") return "***";
  let value = root;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return typeof value === "object" || value === undefined ? undefined : String(value).slice(0, 200);
}

/**
 * Reads an intent, from JSON text or from what JSON.parse made of it. Names are lower-cased and addresses made canonical; anything
 * unknown is refused, since an ignored field could be the one that makes the tunnel safe. Throws `intent/malformed`,
 * `intent/unsupported-schema` or `intent/invalid-field` (field, value, expected) for the first problem.
 */
export function parseIntent(json: string | unknown): GatewayIntent {
  let raw: unknown = json;
  if (typeof json === "string") {
    try {
      raw = JSON.parse(json);
    } catch {
      // The parser's message quotes its input, which may hold a key.
      throw fault("intent/malformed", "an intent is a JSON object", { expected: "a JSON object" });
    }
  }
  const schema = typeof raw === "object" && raw !== null && "schema" in raw ? raw.schema : undefined;
  if (schema !== INTENT_SCHEMA && typeof schema === "number") {
    throw fault("intent/unsupported-schema", `schema ${schema} is not known to this version`, {
      field: "schema",
      value: String(schema),
      expected: String(INTENT_SCHEMA),
    });
  }
  const result = intent.safeParse(raw);
  if (result.success) return result.data;
  const issue = result.error.issues[0] as z.core.$ZodIssue;
  const path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] as string] : issue.path;
  const field = fieldPath(path) || "intent";
  const expected = issue.code === "unrecognized_keys" ? "no such field" : issue.message;
  const value = valueAt(raw, path);
  throw fault("intent/invalid-field", `${field}: ${expected}`, {
    field,
    expected,
    ...(value === undefined ? {} : { value }),
  });
}
