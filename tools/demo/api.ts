interface GraphqlError {
  readonly message: string;
  readonly extensions?: { readonly code?: string; readonly field?: string };
}
interface GraphqlAnswer<T> {
  readonly data?: T | null;
  readonly errors?: readonly GraphqlError[];
}

/** The control plane's public GraphQL API, as any client would use it. */
export class Api {
  readonly #url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  get url(): string {
    return this.#url;
  }

  /** Runs one operation; an answer with errors becomes an `Error` with their codes and fields. */
  async run<T>(operation: string, variables: Readonly<Record<string, unknown>> = {}): Promise<T> {
    const response = await fetch(this.#url, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${this.#token}` },
      body: JSON.stringify({ query: operation, variables }),
    });
    const answer = (await response.json()) as GraphqlAnswer<T>;
    if (answer.errors?.length) {
      const name = /(?:mutation|query|subscription)\s+(\w+)/.exec(operation)?.[1] ?? "the request";
      const reasons = answer.errors.map(({ message, extensions }) =>
        [message, extensions?.code && `(${extensions.code}${extensions.field ? `, ${extensions.field}` : ""})`]
          .filter(Boolean)
          .join(" "),
      );
      throw new Error(`the control plane refused ${name}: ${reasons.join("; ")}`);
    }
    if (!answer.data) throw new Error(`the control plane answered ${response.status} without data`);
    return answer.data;
  }
}
