import { randomUUID } from "node:crypto";
import { isFault } from "@sallyport/base";
import DataLoader from "dataloader";
import type { Authenticator } from "../auth/authenticator.js";
import { apiFault } from "../faults.js";
import type { TenantContext } from "../tenancy.js";

type Batch<K, V> = (keys: readonly K[]) => Promise<ReadonlyMap<K, V>>;

/** Loads what many rows of one answer ask for in one query. One for each request, so that nothing is kept from one to the next. */
export class Loaders {
  readonly #all = new Map<object, Map<string, unknown>>();

  /** Forgets everything: a subscription does before each of its answers. */
  clear(): void {
    this.#all.clear();
  }

  /** Null for a key that `batch` has nothing for. `owner` and `name` tell which loader it is. */
  load<K, V>(owner: object, name: string, key: K, batch: Batch<K, V>): Promise<V | null> {
    const own = this.#all.get(owner) ?? new Map<string, unknown>();
    this.#all.set(owner, own);
    let loader = own.get(name) as DataLoader<K, V | null> | undefined;
    if (!loader) {
      loader = new DataLoader(async (keys: readonly K[]) => {
        const found = await batch(keys);
        return keys.map((k) => found.get(k) ?? null);
      });
      own.set(name, loader);
    }
    return loader.load(key);
  }

  /** As `load`, for lists: empty for a key that `batch` has nothing for. */
  async loadMany<K, V>(owner: object, name: string, key: K, batch: Batch<K, V[]>): Promise<V[]> {
    return (await this.load(owner, name, key, batch)) ?? [];
  }
}

export interface GraphQLRequestContext {
  readonly requestId: string;
  /** Address the request came from. */
  readonly origin: string | undefined;
  readonly tenant: TenantContext | undefined;
  /** Why there is no tenant although a token was given. */
  readonly refusal: Error | undefined;
  readonly loaders: Loaders;
  /** Whether the token is still good: subscriptions outlive it otherwise. */
  stillValid(): Promise<boolean>;
}

const BEARER = /^Bearer +(\S+)$/i;

/** Never rejects for a bad token: which operations need one is the guard's business. */
export async function requestContext(
  authenticator: Authenticator,
  authorization: string | undefined,
  origin: string | undefined,
): Promise<GraphQLRequestContext> {
  const requestId = randomUUID();
  const base = { requestId, origin, loaders: new Loaders(), stillValid: async () => false };
  if (authorization === undefined) return { ...base, tenant: undefined, refusal: undefined };
  const token = BEARER.exec(authorization)?.[1];
  if (token === undefined) {
    const refusal = apiFault("api/unauthenticated", "the authorization header cannot be read", {
      field: "authorization",
      expected: "Bearer, followed by an API token",
    });
    return { ...base, tenant: undefined, refusal };
  }
  try {
    const authenticate = () => authenticator.authenticate(token, { address: origin, requestId });
    const tenant = await authenticate();
    const stillValid = () =>
      authenticate().then(
        () => true,
        (error: unknown) => !isFault(error, "api/unauthenticated"),
      );
    return { ...base, tenant, refusal: undefined, stillValid };
  } catch (error) {
    // Also what nobody foresaw: the guard throws it, and it is shown like any other.
    return { ...base, tenant: undefined, refusal: error as Error };
  }
}
