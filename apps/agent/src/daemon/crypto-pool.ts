import type { KeyObject } from "node:crypto";
import { Worker } from "node:worker_threads";
import { type CryptoJob, type CryptoKeys, failureOf, runCryptoJob } from "@sallyport/ike";
import type { CryptoAnswer, CryptoRunner } from "./crypto-runner.js";
import type { EapTlsRunner } from "./eap-tls.js";

/** What a worker gets: the job, and the key when the job signs. */
export interface WorkerRequest {
  readonly id: number;
  readonly job: CryptoJob;
  readonly key?: KeyObject;
}

export interface WorkerAnswer {
  readonly id: number;
  readonly answer: CryptoAnswer;
}

/** Does a job now; what refuses it becomes the answer. */
export function answerTo(job: CryptoJob, keys: CryptoKeys): CryptoAnswer {
  try {
    return { ok: true, result: runCryptoJob(job, keys) };
  } catch (error) {
    return { ok: false, failure: failureOf(error) };
  }
}

/** Groups whose exponentiation would hold the event loop for a millisecond or more. */
const HEAVY = new Set(["modp3072", "modp4096", "modp6144", "modp8192"]);
/** Jobs that wait for the worker; what comes beyond is refused (hostile input 6, 21). */
const MAX_WAITING = 1024;

function isHeavy(job: CryptoJob): boolean {
  switch (job.kind) {
    case "dh-generate":
    case "dh-respond":
      return HEAVY.has(job.group);
    case "dh-compute":
      return HEAVY.has(job.pair.group);
    case "sign":
      return job.scheme.key === "rsa" || job.scheme.key === "rsa-pss";
    case "verify":
    case "eap-tls":
    case "eap-tls-close":
      return false;
  }
}

/** Peers whose authentication waits for what a server says of their certificate; others are told that it is not known. */
const MAX_LEARNING = 64;

/** Keys that may learn more about a chain that was refused for not knowing enough. */
export interface LearningKeys extends CryptoKeys {
  learn?(job: Extract<CryptoJob, { kind: "verify" }>): Promise<void>;
}

const overloaded: CryptoAnswer = {
  ok: false,
  failure: { code: "agent/overloaded", message: `${MAX_WAITING} cryptographic jobs wait already` },
};

/** Light jobs are done where they are asked; heavy ones go to one worker thread, started when the first one comes; TLS has a runner of its own. */
export class CryptoPool implements CryptoRunner {
  #worker: Worker | undefined;
  #serial = 0;
  /** Jobs that wait for somebody to say whether a certificate is revoked. */
  #learning = 0;
  readonly #waiting = new Map<number, (answer: CryptoAnswer) => void>();

  /** Without `tls`, jobs of EAP-TLS are refused. */
  constructor(
    private readonly keys: LearningKeys,
    private readonly tls?: EapTlsRunner,
  ) {}

  run(job: CryptoJob): CryptoAnswer | Promise<CryptoAnswer> {
    if (this.tls && job.kind === "eap-tls") return this.tls.run(job);
    if (this.tls && job.kind === "eap-tls-close") return this.tls.stop(job);
    if (!isHeavy(job)) return this.#light(job);
    if (this.#waiting.size >= MAX_WAITING) return overloaded;
    const id = ++this.#serial;
    let key: KeyObject | undefined;
    try {
      if (job.kind === "sign") key = this.keys.privateKey(job.key);
    } catch (error) {
      return { ok: false, failure: failureOf(error) };
    }
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#start().postMessage({ id, job, ...(key && { key }) } satisfies WorkerRequest);
    });
  }

  /** A chain whose revocation is not known is judged again when something has been learnt about it. */
  #light(job: CryptoJob): CryptoAnswer | Promise<CryptoAnswer> {
    const answer = answerTo(job, this.keys);
    const { keys } = this;
    if (answer.ok || answer.failure.code !== "pki/revocation-unknown" || job.kind !== "verify" || !keys.learn) {
      return answer;
    }
    if (this.#learning >= MAX_LEARNING) return answer;
    this.#learning++;
    return keys
      .learn(job)
      .finally(() => this.#learning--)
      .then(() => answerTo(job, keys));
  }

  async close(): Promise<void> {
    this.tls?.close();
    await this.#worker?.terminate();
  }

  #start(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL("./crypto-worker.js", import.meta.url));
    worker.unref();
    worker.on("message", ({ id, answer }: WorkerAnswer) => {
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
    worker.on("error", (error) => {
      this.#worker = undefined;
      for (const resolve of this.#waiting.values()) resolve({ ok: false, failure: failureOf(error) });
      this.#waiting.clear();
    });
    this.#worker = worker;
    return worker;
  }
}
