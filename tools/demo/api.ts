export interface GraphqlError {
  readonly message: string;
  readonly extensions?: { readonly code?: string; readonly field?: string; readonly [fact: string]: unknown };
}

/** The control plane answered with errors. */
export class Refused extends Error {
  readonly errors: readonly GraphqlError[];

  constructor(message: string, errors: readonly GraphqlError[]) {
    super(message);
    this.errors = errors;
  }
}
interface GraphqlAnswer<T> {
  readonly data?: T | null;
  readonly errors?: readonly GraphqlError[];
}

interface WsMessage {
  readonly type: string;
  readonly id?: string;
  readonly payload?: unknown;
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

  /** Runs one operation; an answer with errors becomes `Refused` with their codes and fields. */
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
      throw new Refused(`the control plane refused ${name}: ${reasons.join("; ")}`, answer.errors);
    }
    if (!answer.data) throw new Error(`the control plane answered ${response.status} without data`);
    return answer.data;
  }

  /** Events of one subscription, over the graphql-transport-ws protocol; ends when the server completes it or `signal` aborts. */
  async *subscribe<T>(
    operation: string,
    variables: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ): AsyncGenerator<T, void, undefined> {
    const socket = new WebSocket(this.#url.replace(/^http/, "ws"), "graphql-transport-ws");
    const waiting: WsMessage[] = [];
    let wake: () => void = () => {};
    const take = (message: WsMessage) => {
      waiting.push(message);
      wake();
    };
    const send = (message: WsMessage) => socket.send(JSON.stringify(message));
    socket.addEventListener("open", () =>
      send({ type: "connection_init", payload: { authorization: `Bearer ${this.#token}` } }),
    );
    socket.addEventListener("message", (event) => take(JSON.parse(String(event.data))));
    socket.addEventListener("close", () => take({ type: "complete" }));
    signal.addEventListener("abort", () => take({ type: "complete" }));
    try {
      for (;;) {
        const message = waiting.shift();
        if (!message) await new Promise<void>((resolve) => (wake = resolve));
        else if (message.type === "connection_ack")
          send({ id: "1", type: "subscribe", payload: { query: operation, variables } });
        else if (message.type === "ping") send({ type: "pong" });
        else if (message.type === "next") yield (message.payload as { data: T }).data;
        else if (message.type === "error") throw new Error(`the subscription was refused: ${JSON.stringify(message)}`);
        else if (message.type === "complete") return;
      }
    } finally {
      socket.close();
    }
  }
}
