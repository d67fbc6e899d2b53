import { parentPort } from "node:worker_threads";
import { fault } from "../faults.js";
import { answerTo, type WorkerAnswer, type WorkerRequest } from "./crypto-pool.js";

parentPort?.on("message", ({ id, job, key }: WorkerRequest) => {
  const answer = answerTo(job, {
    privateKey: (name) => {
      if (key) return key;
      throw fault("agent/no-key", `no private key "${name}"`, { field: "key", value: name });
    },
  });
  parentPort?.postMessage({ id, answer } satisfies WorkerAnswer);
});
