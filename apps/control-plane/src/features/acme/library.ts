import type * as acme from "acme-client";

export type { acme };

let loading: Promise<typeof acme> | undefined;

/** Loaded when the first order is worked at: only the replicas that run jobs need it, and few of them soon. */
export function acmeLibrary(): Promise<typeof acme> {
  loading ??= load();
  return loading;
}

async function load(): Promise<typeof acme> {
  const [library, { adapter }] = await Promise.all([import("acme-client"), import("./directory-request.js")]);
  library.axios.defaults.adapter = adapter;
  return library;
}
