import { faultTable } from "@sallyport/base";

/** Faults of the platform: what goes wrong around the features. */
export const fault = faultTable({
  /** An environment variable has a value that it may not have, or is missing. */
  "platform/bad-configuration": { retry: false, expose: true },
  "platform/database-unavailable": { retry: true, expose: true },
  /** The embedded PostgreSQL could not be set up or started. */
  "platform/embedded-database": { retry: false, expose: true },
  /** A migration that was applied has another content now. */
  "platform/migration-changed": { retry: false, expose: true },
  "platform/migration-failed": { retry: false, expose: true },
  "platform/bus-unavailable": { retry: true, expose: false },
  "platform/queue-unavailable": { retry: true, expose: false },
  /** A job without a handler, or two handlers of one job. */
  "platform/bad-job": { retry: false, expose: true },
  /** A resolver says neither who may call it nor that everybody may. */
  "platform/unguarded-resolver": { retry: false, expose: true },
  /** A query on a tenant's table that names no organization. */
  "platform/no-tenant": { retry: false, expose: false },
  /** Sealed data does not open: another key, another row, or changed octets. */
  "platform/unsealable": { retry: false, expose: false },
});

/** Faults of requests to the API, whatever feature they are for. */
export const apiFault = faultTable({
  "api/unauthenticated": { retry: false, expose: true },
  "api/forbidden": { retry: false, expose: true },
  /** The document does not parse, or does not fit the schema. */
  "api/invalid-query": { retry: false, expose: true },
  "api/too-complex": { retry: false, expose: true },
  "api/bad-input": { retry: false, expose: true },
  "api/not-found": { retry: false, expose: true },
  /** Taken by another thing of the organization. */
  "api/name-taken": { retry: false, expose: true },
  /** Deleting it would leave something else without what it needs. */
  "api/in-use": { retry: false, expose: true },
  "api/too-many-attempts": { retry: true, expose: true },
});
