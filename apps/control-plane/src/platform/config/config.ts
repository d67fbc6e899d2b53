import { existsSync } from "node:fs";
import path from "node:path";
import { Prefix } from "@sallyport/base";
import { z } from "zod";
import { fault } from "../faults.js";

export const ROLES = ["api", "agents", "jobs"] as const;
/** What a replica does: answers the API, holds agents' streams, runs jobs. */
export type ReplicaRole = (typeof ROLES)[number];

/** A token of a hardware security module. */
export interface Pkcs11Config {
  /** Path of its PKCS#11 module. */
  readonly module: string;
  /** Its label. */
  readonly token: string;
  /** Path of the file that holds the user's PIN. */
  readonly pinFile: string;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Everything that the environment decides. */
export interface Config {
  /** GraphiQL is served. */
  readonly development: boolean;
  /** Where the embedded database and generated keys live. */
  readonly home: string;
  /** Absent: the embedded PostgreSQL. */
  readonly databaseUrl: string | undefined;
  /** Absent: jobs and wake-ups go through PostgreSQL. */
  readonly redisUrl: string | undefined;
  readonly listen: ListenAddress;
  readonly agentsListen: ListenAddress;
  /** `https://host:port` at which agents reach this control plane, by preference; empty: made from `agentsListen`. */
  readonly agentsUrls: readonly string[];
  /** `http://host` at which everybody reaches what CAs publish, without a slash at its end; absent: certificates name no such place. */
  readonly pkiUrl: string | undefined;
  /** `https://host` at which people open links, without a slash at its end; absent: where the API listens. */
  readonly publicUrl: string | undefined;
  readonly roles: ReadonlySet<ReplicaRole>;
  /** Text of the master keys, or the file they are in; both absent: a file in `home`, made at the first start. */
  readonly masterKey: string | undefined;
  readonly masterKeyFile: string | undefined;
  /** Absent: keys of CAs are in the database only. */
  readonly pkcs11: Pkcs11Config | undefined;
  /** Folder of the programs that change DNS zones; absent: none do. */
  readonly dnsPrograms: string | undefined;
  readonly logLevel: string;
  /** IKE SAs and CHILD SAs of one gateway that are kept. */
  readonly saLimit: number;
  /** Networks that are not the internet, and in which webhooks may be all the same. */
  readonly webhookNetworks: readonly Prefix[];
  /** How long samples of tunnels are kept. */
  readonly history: {
    /** Those of a minute. */
    readonly rawHours: number;
    readonly fiveMinuteDays: number;
    readonly hourDays: number;
  };
  /** Folder of the migrations. */
  readonly migrations: string;
}

const listen = z.string().transform((text, context): ListenAddress => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match && port <= 65535) return { host: match[1] ?? match[2] ?? "", port };
  context.addIssue({ code: "custom", message: "host:port, e.g. 127.0.0.1:8420 or [::1]:8420" });
  return z.NEVER;
});

const list = z.string().transform((text) =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== ""),
);
const between = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,7}$/, `a number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `a number from ${min} to ${max}`);
const flag = z.enum(["0", "1"]).transform((text) => text === "1");
const filled = z.string().min(1, "something, or leave it out");
const url = (...protocols: string[]) =>
  z
    .string()
    .refine(
      (text) => protocols.includes(URL.parse(text)?.protocol ?? ""),
      `a URL that starts with ${protocols.map((p) => `${p}//`).join(" or ")}`,
    );

const ENVIRONMENT = z.object({
  SALLYPORT_DEVELOPMENT: flag.default(false),
  SALLYPORT_HOME: filled.optional(),
  DATABASE_URL: url("postgres:", "postgresql:").optional(),
  REDIS_URL: url("redis:", "rediss:", "unix:").optional(),
  SALLYPORT_LISTEN: listen.default({ host: "127.0.0.1", port: 8420 }),
  SALLYPORT_AGENTS_LISTEN: listen.default({ host: "0.0.0.0", port: 8421 }),
  SALLYPORT_AGENTS_URLS: list.pipe(z.array(url("https:"))).default([]),
  SALLYPORT_PKI_URL: url("http:")
    .refine((text) => text.length <= 100 && URL.parse(text)?.search === "", "at most 100 characters, no query")
    .transform((text) => text.replace(/\/+$/, ""))
    .optional(),
  SALLYPORT_PUBLIC_URL: url("http:", "https:")
    .refine((text) => text.length <= 200 && URL.parse(text)?.search === "", "at most 200 characters, no query")
    .transform((text) => text.replace(/\/+$/, ""))
    .optional(),
  SALLYPORT_ROLES: list
    .pipe(z.array(z.enum(ROLES, `some of ${ROLES.join(", ")}`)).min(1, `some of ${ROLES.join(", ")}`))
    .default([...ROLES]),
  SALLYPORT_MASTER_KEY: filled.optional(),
  SALLYPORT_MASTER_KEY_FILE: filled.optional(),
  SALLYPORT_PKCS11_MODULE: filled.optional(),
  SALLYPORT_PKCS11_TOKEN: filled.max(32, "a label of at most 32 octets").optional(),
  SALLYPORT_PKCS11_PIN_FILE: filled.optional(),
  SALLYPORT_DNS_PROGRAMS: filled.refine(path.isAbsolute, "an absolute path").optional(),
  SALLYPORT_LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
  SALLYPORT_MIGRATIONS: filled.optional(),
  SALLYPORT_SA_LIMIT: between(1, 9_999_999).default(200_000),
  SALLYPORT_WEBHOOK_NETWORKS: list
    .transform((texts, context) =>
      texts.map((text) => {
        try {
          return Prefix.parse(text);
        } catch {
          context.addIssue({ code: "custom", message: "prefixes, e.g. 10.0.0.0/8,fd00::/8" });
          return z.NEVER;
        }
      }),
    )
    .default([]),
  SALLYPORT_HISTORY_RAW_HOURS: between(6, 1_000).default(48),
  SALLYPORT_HISTORY_5MIN_DAYS: between(1, 1_000).default(30),
  SALLYPORT_HISTORY_HOUR_DAYS: between(1, 4_000).default(400),
});

const SECRET_VARIABLES = new Set(["DATABASE_URL", "REDIS_URL", "SALLYPORT_MASTER_KEY"]);

/** The checkout (or image) that this file is part of: the nearest folder above that holds `prisma/migrations`. */
function installation(): string {
  let at = import.meta.dirname;
  while (!existsSync(path.join(at, "prisma/migrations")) && path.dirname(at) !== at) at = path.dirname(at);
  return at;
}

/** @throws platform/bad-configuration, with the variable as field. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const parsed = ENVIRONMENT.safeParse(environment);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = String(issue?.path[0]);
    const value = environment[field];
    throw fault("platform/bad-configuration", `${field}: expected ${issue?.message}`, {
      field,
      ...(value === undefined ? {} : { value: SECRET_VARIABLES.has(field) ? "***" : value }),
      expected: issue?.message ?? "",
    });
  }
  const env = parsed.data;
  if (env.SALLYPORT_MASTER_KEY !== undefined && env.SALLYPORT_MASTER_KEY_FILE !== undefined) {
    throw fault("platform/bad-configuration", "the master key is given twice", {
      field: "SALLYPORT_MASTER_KEY_FILE",
      expected: "either SALLYPORT_MASTER_KEY or SALLYPORT_MASTER_KEY_FILE",
    });
  }
  if (env.DATABASE_URL !== undefined && (env.SALLYPORT_MASTER_KEY ?? env.SALLYPORT_MASTER_KEY_FILE) === undefined) {
    throw fault("platform/bad-configuration", "a database of its own needs a master key of its own", {
      field: "SALLYPORT_MASTER_KEY_FILE",
      expected: "a file with 32 random octets in base64, the same on every replica: openssl rand -base64 32",
    });
  }
  const root = installation();
  const pkcs11 = pkcs11From(env);
  return {
    development: env.SALLYPORT_DEVELOPMENT,
    home: path.resolve(env.SALLYPORT_HOME ?? path.join(root, ".sallyport")),
    databaseUrl: env.DATABASE_URL,
    redisUrl: env.REDIS_URL,
    listen: env.SALLYPORT_LISTEN,
    agentsListen: env.SALLYPORT_AGENTS_LISTEN,
    agentsUrls: env.SALLYPORT_AGENTS_URLS,
    pkiUrl: env.SALLYPORT_PKI_URL,
    publicUrl: env.SALLYPORT_PUBLIC_URL,
    roles: new Set(env.SALLYPORT_ROLES),
    masterKey: env.SALLYPORT_MASTER_KEY,
    masterKeyFile: env.SALLYPORT_MASTER_KEY_FILE,
    pkcs11,
    dnsPrograms: env.SALLYPORT_DNS_PROGRAMS,
    logLevel: env.SALLYPORT_LOG_LEVEL,
    saLimit: env.SALLYPORT_SA_LIMIT,
    webhookNetworks: env.SALLYPORT_WEBHOOK_NETWORKS,
    history: {
      rawHours: env.SALLYPORT_HISTORY_RAW_HOURS,
      fiveMinuteDays: env.SALLYPORT_HISTORY_5MIN_DAYS,
      hourDays: env.SALLYPORT_HISTORY_HOUR_DAYS,
    },
    migrations: path.resolve(env.SALLYPORT_MIGRATIONS ?? path.join(root, "prisma/migrations")),
  };
}

function pkcs11From(env: z.infer<typeof ENVIRONMENT>): Pkcs11Config | undefined {
  const { SALLYPORT_PKCS11_MODULE: module, SALLYPORT_PKCS11_TOKEN: token, SALLYPORT_PKCS11_PIN_FILE: pinFile } = env;
  if (module !== undefined && token !== undefined && pinFile !== undefined) return { module, token, pinFile };
  const given = { SALLYPORT_PKCS11_MODULE: module, SALLYPORT_PKCS11_TOKEN: token, SALLYPORT_PKCS11_PIN_FILE: pinFile };
  const [missing, ...others] = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [name] : []));
  if (missing === undefined || others.length === 2) return undefined;
  throw fault("platform/bad-configuration", "a PKCS#11 token is given in part", {
    field: missing,
    expected: `all of ${Object.keys(given).join(", ")}, or none`,
  });
}

/** Nest's token of the `Config`. */
export const CONFIG = Symbol("Config");
