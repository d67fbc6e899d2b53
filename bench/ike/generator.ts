/**
 * The load generator: one initiator engine a handshake, over real UDP sockets. Reads its scenario and then counts of handshakes,
 * one JSON value a line, from standard input; answers each count with one line of JSON.
 */
import { createPrivateKey, randomFillSync, randomInt } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { type Endpoint, IpAddress, type Rng } from "@sallyport/base";
import {
  type CryptoJob,
  type CryptoKeys,
  type CryptoResult,
  type DhKeyPair,
  type Effect,
  IkeEngine,
  runCryptoJob,
} from "@sallyport/ike";
import { CLIENT, CONCURRENCY, configOf, PORTS, type Scenario } from "./scenario.ts";

export interface Answer {
  readonly done: number;
  readonly failed: number;
  readonly seconds: number;
  /** Milliseconds from the start of a handshake to its CHILD SA, median and 99th percentile. */
  readonly p50: number;
  readonly p99: number;
  /** Why the first one failed. */
  readonly reason: string | undefined;
}

/** A handshake that takes longer has failed; nothing is sent twice. */
const TIMEOUT_MS = 5_000;

const rng: Rng = { bytes: (n) => randomFillSync(new Uint8Array(n)) };
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const scenario = JSON.parse((await lines.next()).value as string) as Scenario;
const privateKey = createPrivateKey(scenario.client.privateKey);
const keys: CryptoKeys = {
  privateKey: () => privateKey,
  verifyChain: () => {
    throw new Error("the generator verifies nothing");
  },
};

async function open(port: number): Promise<Socket> {
  const socket = createSocket({ type: "udp4", recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
  socket.bind(port, CLIENT.address);
  await once(socket, "listening");
  return socket;
}
const ike = await open(PORTS.ike);
const natt = await open(PORTS.natt);
const MARKER = new Uint8Array(4);

function send(local: Endpoint, remote: Endpoint, datagram: Uint8Array): void {
  if (local.port === PORTS.natt) natt.send([MARKER, datagram], remote.port, remote.address.toString());
  else ike.send(datagram, remote.port, remote.address.toString());
}

let pair: DhKeyPair | undefined;
/** The generator saves itself what the responder cannot see: it keeps one key pair and takes every signature for good. */
function run(job: CryptoJob): CryptoResult {
  if (job.kind === "verify") return { subject: "", fingerprint: "" };
  if (job.kind === "dh-generate" && pair) return { pair };
  const result = runCryptoJob(job, keys);
  if ("pair" in result) pair = result.pair;
  return result;
}

interface Handshake {
  readonly started: number;
  readonly receive: (local: Endpoint, remote: Endpoint, datagram: Uint8Array) => void;
}
let clients = 0;
/** By the initiator's SPI in hexadecimal. */
const underWay = new Map<string, Handshake>();
const spiOf = (message: Uint8Array) => Buffer.from(message.buffer, message.byteOffset, 8).toString("hex");

function begin(ended: (failure: string | undefined, ms: number) => void): void {
  const engine = new IkeEngine({ rng });
  const started = performance.now();
  let spi = "";
  const end = (failure: string | undefined) => {
    if (underWay.delete(spi)) ended(failure, performance.now() - started);
  };
  const carryOut = (effects: readonly Effect[]) => {
    for (const effect of effects) {
      const now = performance.now();
      if (effect.do === "send") {
        if (spi === "") {
          spi = spiOf(effect.datagram);
          underWay.set(spi, { started, receive });
        }
        send(effect.local, effect.remote, effect.datagram);
      } else if (effect.do === "crypto") {
        carryOut(engine.handle({ on: "crypto-done", now, id: effect.id, result: run(effect.job) }));
      } else if (effect.do === "dataplane" && effect.id !== 0) {
        const values = effect.ops.map((op) => (op.op === "allocateSpi" ? randomInt(0x1000, 2 ** 32) : undefined));
        carryOut(engine.handle({ on: "dataplane-done", now, id: effect.id, values }));
      } else if (effect.do === "emit") {
        const { event } = effect;
        if (event.event === "child-up") end(undefined);
        else if (event.event === "negotiation-failed" || event.event === "auth-failed") end(event.error.message);
      }
    }
  };
  const receive: Handshake["receive"] = (local, remote, datagram) =>
    carryOut(engine.handle({ on: "datagram", now: performance.now(), local, remote, datagram }));
  const config = configOf(scenario, "client", clients++);
  carryOut(engine.handle({ on: "config", now: started, config }));
}

const here = IpAddress.parse(CLIENT.address);
const there = new Map<string, IpAddress>();
function listen(socket: Socket, port: number, skip: number): void {
  socket.on("message", (data, from) => {
    const message = data.subarray(skip);
    if (message.length < 28) return;
    const address = there.get(from.address) ?? IpAddress.parse(from.address);
    there.set(from.address, address);
    underWay.get(spiOf(message))?.receive({ address: here, port }, { address, port: from.port }, message);
  });
}
listen(ike, PORTS.ike, 0);
listen(natt, PORTS.natt, MARKER.length);

function load(count: number): Promise<Answer> {
  const times: number[] = [];
  let begun = 0;
  let failed = 0;
  let reason: string | undefined;
  const started = performance.now();
  return new Promise((resolve) => {
    const next = () => {
      if (begun < count) {
        begun++;
        begin(ended);
      } else if (times.length + failed === count) {
        clearInterval(sweeper);
        times.sort((a, b) => a - b);
        const at = (share: number) => times[Math.floor(share * (times.length - 1))] ?? Number.NaN;
        const seconds = (performance.now() - started) / 1000;
        resolve({ done: times.length, failed, seconds, p50: at(0.5), p99: at(0.99), reason });
      }
    };
    const ended = (failure: string | undefined, ms: number) => {
      if (failure === undefined) times.push(ms);
      else failed++;
      reason ??= failure;
      // Not from within the engine's effects.
      setImmediate(next);
    };
    const sweeper = setInterval(() => {
      const limit = performance.now() - TIMEOUT_MS;
      for (const [spi, handshake] of underWay) {
        if (handshake.started < limit && underWay.delete(spi)) ended("no answer", TIMEOUT_MS);
      }
    }, 500);
    for (let i = 0; i < CONCURRENCY; i++) next();
  });
}

console.log("ready");
for await (const line of lines) console.log(JSON.stringify(await load(Number(line))));
ike.close();
natt.close();
