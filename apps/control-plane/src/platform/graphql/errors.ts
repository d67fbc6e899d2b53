import { randomUUID } from "node:crypto";
import { type Fault, isFault } from "@sallyport/base";
import { GraphQLError, type GraphQLFormattedError } from "graphql";
import { isOutage } from "../database/prisma-database.js";
import { fault } from "../faults.js";
import type { Log } from "../log/log.js";

interface Wrapped {
  readonly errors?: readonly Error[];
  readonly statusCode?: number;
  readonly code?: string;
  readonly originalError?: unknown;
}

function extensionsOf(cause: Fault): Record<string, unknown> {
  const { code, field, value, expected, facts, policy } = cause;
  return {
    ...facts,
    code,
    retry: policy.retry,
    ...(field === undefined ? {} : { field }),
    ...(value === undefined ? {} : { value }),
    ...(expected === undefined ? {} : { expected }),
  };
}

/** The fault behind an error that GraphQL or Mercurius wrapped, if there is one. */
function faultOf(error: unknown): Fault | undefined {
  if (isFault(error)) return error;
  const original = (error as Wrapped | null)?.originalError;
  if (original !== undefined && original !== error) return faultOf(original);
  return isOutage(error)
    ? fault("platform/database-unavailable", "the database does not answer", { cause: error })
    : undefined;
}

/** Fastify and Mercurius blame the request by these codes. */
const REQUEST_CODE = /^(FST_ERR_CTP|FST_ERR_VALIDATION|MER_ERR_GQL)/;

function isInvalidQuery(error: Error & Wrapped): boolean {
  const code = error.code ?? (error.originalError as Wrapped | undefined)?.code;
  if (code !== undefined) return REQUEST_CODE.test(code);
  // graphql-jit's errors have no extensions at all.
  return error instanceof GraphQLError && error.originalError === undefined && error.extensions?.code === undefined;
}

/** One error as a client sees it. What nobody foresaw is logged with an id and shows nothing but that id. */
export function formatError(error: Error & Wrapped, log: Log): GraphQLFormattedError {
  const where = error instanceof GraphQLError ? { locations: error.locations, path: error.path } : {};
  const place = Object.fromEntries(Object.entries(where).filter(([, v]) => v !== undefined));
  const known = faultOf(error);
  if (known?.policy.expose) return { message: known.message, ...place, extensions: extensionsOf(known) };
  if (!known && isInvalidQuery(error)) {
    return { message: error.message, ...place, extensions: { code: "api/invalid-query", retry: false } };
  }
  const id = randomUUID();
  log.error({ err: known ?? error.originalError ?? error, errorId: id, path: place.path }, "an operation failed");
  const retry = known?.policy.retry ?? false;
  return { message: `internal error ${id}`, ...place, extensions: { code: "api/internal", retry, errorId: id } };
}

/** The same as an error, for what no formatter comes behind. */
export function shownError(error: Error & Wrapped, log: Log): GraphQLError {
  const { message, extensions } = formatError(error, log);
  return new GraphQLError(message, extensions === undefined ? {} : { extensions });
}

/** Mercurius's `errorFormatter`. */
export function errorFormatter(log: Log) {
  return (execution: { data?: unknown; errors?: readonly Error[] | undefined }) => {
    const errors = (execution.errors ?? []).flatMap((error) => {
      const inner = ((error as Wrapped).originalError as Wrapped | undefined)?.errors ?? (error as Wrapped).errors;
      return Array.isArray(inner) ? (inner as Error[]) : [error];
    });
    const formatted = errors.map((error) => formatError(error, log));
    const refused =
      (execution.data ?? null) === null && formatted.every((e) => e.extensions?.code === "api/invalid-query");
    return { statusCode: refused ? 400 : 200, response: { data: execution.data ?? null, errors: formatted } };
  };
}
