import { isFault } from "@sallyport/base";
import { toPem } from "@sallyport/pki";
import { type DirectoryTrust, trustOfCall } from "./directory-request.js";
import { fault } from "./faults.js";
import { type acme, acmeLibrary } from "./library.js";

export interface AccountAtDirectory extends DirectoryTrust {
  readonly directoryUrl: string;
  /** The account's private key, PEM. */
  readonly key: string;
  /** Absent: not registered. */
  readonly accountUrl?: string | undefined;
  /** Needed to register where the directory wants to know its customers. `hmacKey` is base64url. */
  readonly binding?: { readonly keyId: string; readonly hmacKey: string } | undefined;
}

export type Order = acme.Order;
export type Authorization = acme.Authorization;
export type Challenge = Authorization["challenges"][number];

/** An account at an ACME directory (RFC 8555). Every method throws acme/unreachable, acme/rate-limited, acme/refused or acme/bad-answer. */
export class Directory {
  private constructor(
    private readonly account: AccountAtDirectory,
    private readonly client: acme.Client,
  ) {}

  static async open(account: AccountAtDirectory): Promise<Directory> {
    const { Client } = await acmeLibrary();
    const { directoryUrl, key, accountUrl, binding } = account;
    const client = new Client({
      directoryUrl,
      accountKey: key,
      ...(accountUrl === undefined ? {} : { accountUrl }),
      ...(binding && { externalAccountBinding: { kid: binding.keyId, hmacKey: binding.hmacKey } }),
    });
    return new Directory(account, client);
  }

  /** Makes the account, or finds the one of this key. Gives its URL. */
  register(contacts: readonly string[]): Promise<string> {
    return this.#call(async (client) => {
      await client.createAccount({ termsOfServiceAgreed: true, contact: [...contacts] });
      return client.getAccountUrl();
    });
  }

  /** `replaces` is the `renewalName` of the certificate that the new one is for (RFC 9773 §5). */
  order(names: readonly string[], replaces?: string): Promise<Order> {
    const identifiers = names.map((value) => ({ type: "dns", value }));
    return this.#call((client) => client.createOrder({ identifiers, ...(replaces === undefined ? {} : { replaces }) }));
  }

  orderAt(url: string): Promise<Order> {
    return this.#call((client) => client.getOrder({ url } as Order));
  }

  authorizations(order: Order): Promise<Authorization[]> {
    return this.#call((client) => client.getAuthorizations(order));
  }

  /** The token with the account key's thumbprint (§8.1). */
  keyAuthorization(challenge: Challenge): Promise<string> {
    // Of the other types the library gives the hash, which whoever answers can make.
    return this.#call((client) => client.getChallengeKeyAuthorization({ ...challenge, type: "http-01" } as Challenge));
  }

  /** Tells that the challenge may be looked at. */
  complete(challenge: Challenge): Promise<void> {
    return this.#call(async (client) => {
      await client.completeChallenge(challenge);
    });
  }

  finalize(order: Order, csr: Uint8Array): Promise<Order> {
    return this.#call((client) => client.finalizeOrder(order, toPem("CERTIFICATE REQUEST", csr)));
  }

  /** PEM, leaf first. */
  certificate(order: Order): Promise<string> {
    return this.#call((client) => client.getCertificate(order));
  }

  /** The library's own errors are about answers that it could not use. */
  async #call<T>(work: (client: acme.Client) => Promise<T>): Promise<T> {
    try {
      return await trustOfCall.run({ roots: this.account.roots }, () => work(this.client));
    } catch (error) {
      if (isFault(error)) throw error;
      const text = error instanceof Error ? error.message : String(error);
      throw fault("acme/bad-answer", `${this.account.directoryUrl}: ${text}`, { cause: error });
    }
  }
}
