import { randomBytes } from "node:crypto";
import { type RunningApplication, startApplication } from "../src/application.js";
import type { FirstCredentials } from "../src/features/operators/first-start.js";
import { readConfig } from "../src/platform/config/config.js";
import { createLog } from "../src/platform/log/log.js";
import { Vault } from "../src/platform/vault/vault.js";
import { type Connection, createDatabase } from "./database.js";

export interface GraphqlError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions: Readonly<Record<string, unknown>>;
}

export interface Answer<T> {
  readonly status: number;
  readonly data: T | null;
  readonly errors: readonly GraphqlError[] | undefined;
}

/** A control plane, wherever it runs, as its first operator asks it. */
export type Api = Pick<TestControlPlane, "get">;

export interface TestControlPlane {
  readonly application: RunningApplication;
  readonly connection: Connection;
  readonly first: FirstCredentials;
  /** Sends one operation as the first operator, or with another token (null: none). */
  send<T = Record<string, unknown>>(query: string, variables?: object, token?: string | null): Promise<Answer<T>>;
  /** As `send`, but fails on errors. */
  get<T = Record<string, unknown>>(query: string, variables?: object): Promise<T>;
  close(): Promise<void>;
}

/** The whole control plane in this process, on a database of its own and free ports. */
export async function startControlPlane(environment: Record<string, string> = {}): Promise<TestControlPlane> {
  const { connection, drop } = await createDatabase();
  const masterKey = environment.SALLYPORT_MASTER_KEY ?? randomBytes(32).toString("base64");
  const config = readConfig({
    SALLYPORT_MASTER_KEY: masterKey,
    SALLYPORT_LISTEN: "127.0.0.1:0",
    SALLYPORT_AGENTS_LISTEN: "127.0.0.1:0",
    ...environment,
  });
  const log = createLog(process.env.SALLYPORT_TEST_LOG ?? "silent");
  const application = await startApplication({ config, log, vault: new Vault(masterKey), connection });
  const { first } = application;
  if (!first) throw new Error("an empty database was not a first start");

  const send = async <T>(
    query: string,
    variables: object = {},
    token: string | null = first.apiToken,
  ): Promise<Answer<T>> => {
    const response = await fetch(`${application.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
      body: JSON.stringify({ query, variables }),
    });
    const body = (await response.json()) as Omit<Answer<T>, "status">;
    return { status: response.status, data: body.data, errors: body.errors };
  };
  return {
    application,
    connection,
    first,
    send,
    get: async <T>(query: string, variables: object = {}) => {
      const { data, errors } = await send<T>(query, variables);
      if (errors || data === null) throw new Error(JSON.stringify(errors));
      return data;
    },
    close: async () => {
      await application.close();
      await drop();
    },
  };
}

/** Asks until `done` says so. */
export async function eventually<T>(
  ask: () => Promise<T>,
  done: (answer: T) => boolean,
  timeoutMs = 30_000,
): Promise<T> {
  for (const until = performance.now() + timeoutMs; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const answer = await ask();
    if (done(answer)) return answer;
    if (performance.now() > until) throw new Error(`still ${JSON.stringify(answer)} after ${timeoutMs} ms`);
  }
}
