import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { Fault, type FaultDetail, type FaultPolicy, IpAddress, Prefix } from "@sallyport/base";

/** Methods that a process in a namespace offers. */
export type Methods = Readonly<Record<string, (...values: never[]) => unknown>>;

interface Call {
  readonly id: number;
  readonly method: string;
  readonly values: unknown[];
}

type Reply =
  | { readonly ready: true }
  | { readonly notice: unknown }
  | { readonly id: number; readonly value?: unknown; readonly error?: unknown };

/** Addresses and prefixes travel as text; the channel itself carries octets and big integers. */
function packed(value: unknown): unknown {
  if (value instanceof IpAddress) return { $address: value.toString() };
  if (value instanceof Prefix) return { $prefix: value.toString() };
  if (value instanceof Uint8Array || value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(packed);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, packed(item)]));
}

function unpacked(value: unknown): unknown {
  if (value instanceof Uint8Array || value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(unpacked);
  if ("$address" in value) return IpAddress.parse(String(value.$address));
  if ("$prefix" in value) return Prefix.parse(String(value.$prefix));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpacked(item)]));
}

function packedError(error: unknown): unknown {
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
  if (!(error instanceof Fault)) return { message, stack };
  const { code, policy, field, value, expected, offset, facts } = error;
  return { code, message, policy, detail: { field, value, expected, offset, facts }, stack };
}

function unpackedError(packedValue: unknown): Error {
  const { code, message, policy, detail, stack } = packedValue as {
    code?: string;
    message: string;
    policy: FaultPolicy;
    detail: FaultDetail;
    stack?: string;
  };
  const error = code ? new Fault(code, message, policy, detail) : new Error(message);
  if (stack) error.stack = `${stack}\n    in another process, called from\n${error.stack ?? ""}`;
  return error;
}

/** Offers `methods` to the parent process; returns what tells it something without being asked. */
export function serve(methods: Methods): (notice: unknown) => void {
  const send = (reply: Reply) => process.send?.(reply);
  process.on("message", (message: Call) => {
    const { id, method, values } = message;
    const run = async () => {
      const wanted = methods[method];
      if (!wanted) throw new Error(`no method ${method}`);
      return wanted(...(values.map(unpacked) as never[]));
    };
    run().then(
      (value) => send({ id, value: packed(value) }),
      (error) => send({ id, error: packedError(error) }),
    );
  });
  process.on("disconnect", () => process.exit());
  send({ ready: true });
  return (notice) => send({ notice: packed(notice) });
}

/** A Node process inside a network namespace, that answers calls. It ends when this one does. */
export class RemoteProcess {
  readonly #child: ChildProcess;
  readonly #calls = new Map<number, { resolve(value: unknown): void; reject(reason: Error): void }>();
  readonly #exited: Promise<unknown>;
  #next = 0;
  #ready: () => void = () => undefined;

  private constructor(child: ChildProcess, onNotice: (notice: unknown) => void) {
    this.#child = child;
    this.#exited = once(child, "exit").then(() => {
      for (const { reject } of this.#calls.values()) reject(new Error("the process ended"));
      this.#calls.clear();
    });
    child.on("message", (reply: Reply) => {
      if ("ready" in reply) this.#ready();
      else if ("notice" in reply) onNotice(unpacked(reply.notice));
      else this.#answer(reply);
    });
  }

  /** Starts `module` (a file) in `namespace`; resolves when it serves. */
  static async start(
    namespace: string,
    module: string,
    values: readonly string[] = [],
    onNotice: (notice: unknown) => void = () => undefined,
  ): Promise<RemoteProcess> {
    const child = fork(module, values, {
      execPath: "ip",
      execArgv: ["netns", "exec", namespace, process.execPath],
      serialization: "advanced",
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const remote = new RemoteProcess(child, onNotice);
    await Promise.race([
      new Promise<void>((resolve) => {
        remote.#ready = resolve;
      }),
      remote.#exited.then(() => {
        throw new Error(`${module} ended before it served`);
      }),
    ]);
    return remote;
  }

  #answer(reply: { id: number; value?: unknown; error?: unknown }): void {
    const call = this.#calls.get(reply.id);
    this.#calls.delete(reply.id);
    if (reply.error) call?.reject(unpackedError(reply.error));
    else call?.resolve(unpacked(reply.value));
  }

  call(method: string, ...values: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      this.#calls.set(id, { resolve, reject });
      this.#child.send({ id, method, values: values.map(packed) } satisfies Call, (error) => error && reject(error));
    });
  }

  /** SIGKILL: nothing is cleaned up. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  /** Lets it end by itself. */
  async end(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 2000);
    await this.#exited;
    clearTimeout(timer);
  }
}
