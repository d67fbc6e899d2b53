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
  type Input,
  runCryptoJob,
  usePrimitives,
} from "@sallyport/ike";
import { IkePrimitives } from "@sallyport/linux-io";
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
/** Handshakes after which the JIT compiler has little left to do. */
const WARM_UP = 2_000;

usePrimitives(new IkePrimitives());
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

const spis = new Set<number>();
/** All callers have one address: there, no SPI is given twice (RFC 4301 §4.1), and a responder takes none twice. */
function newSpi(): number {
  for (;;) {
    const spi = randomInt(0x1000, 2 ** 32);
    if (spis.size < spis.add(spi).size) return spi;
  }
}

type Sent = Extract<Effect, { do: "send" }>;

interface Handshake {
  readonly started: number;
  readonly receive: (local: Endpoint, remote: Endpoint, datagram: Uint8Array) => void;
}
let clients = 0;
/** By the initiator's SPI in hexadecimal. */
const underWay = new Map<string, Handshake>();
const spiOf = (message: Uint8Array) => Buffer.from(message.buffer, message.byteOffset, 8).toString("hex");

/** What an engine wants done, at once but for sending; an event that ends the handshake goes to `ended`. */
function carryOut(
  engine: IkeEngine,
  effects: readonly Effect[],
  sent: (effect: Sent) => void,
  ended: (failure: string | undefined) => void,
): void {
  const give = (input: Input) => carryOut(engine, engine.handle(input), sent, ended);
  for (const effect of effects) {
    const now = performance.now();
    if (effect.do === "send") sent(effect);
    else if (effect.do === "crypto") give({ on: "crypto-done", now, id: effect.id, result: run(effect.job) });
    else if (effect.do === "dataplane" && effect.id !== 0) {
      const values = effect.ops.map((op) => (op.op === "allocateSpi" ? newSpi() : undefined));
      give({ on: "dataplane-done", now, id: effect.id, values });
    } else if (effect.do === "emit") {
      const { event } = effect;
      if (event.event === "child-up") ended(undefined);
      else if (event.event === "negotiation-failed" || event.event === "auth-failed") ended(event.error.message);
    }
  }
}

function begin(ended: (failure: string | undefined, ms: number) => void): void {
  const engine = new IkeEngine({ rng });
  const started = performance.now();
  let spi = "";
  const end = (failure: string | undefined) => {
    if (underWay.delete(spi)) ended(failure, performance.now() - started);
  };
  const sent = ({ local, remote, datagram }: Sent) => {
    if (spi === "") {
      spi = spiOf(datagram);
      underWay.set(spi, { started, receive });
    }
    send(local, remote, datagram);
  };
  const give = (input: Input) => carryOut(engine, engine.handle(input), sent, end);
  const receive: Handshake["receive"] = (local, remote, datagram) =>
    give({ on: "datagram", now: performance.now(), local, remote, datagram });
  give({ on: "config", now: started, config: configOf(scenario, "client", clients++) });
}

/**
 * Handshakes with a responder in this process: every responder is to meet a generator whose code is compiled, however few
 * handshakes it is measured over.
 */
function warmUp(count: number): void {
  const server = new IkeEngine({ rng });
  const nobody = () => {};
  const config = configOf(scenario, "server");
  carryOut(server, server.handle({ on: "config", now: performance.now(), config }), nobody, nobody);
  for (let i = 0; i < count; i++) {
    const client = new IkeEngine({ rng });
    const wire: { readonly to: IkeEngine; readonly input: Input }[] = [];
    const give = (engine: IkeEngine, input: Input) => {
      const to = engine === server ? client : server;
      const sent = ({ local: remote, remote: local, datagram }: Sent) =>
        wire.push({ to, input: { on: "datagram", now: performance.now(), local, remote, datagram } });
      carryOut(engine, engine.handle(input), sent, nobody);
    };
    give(client, { on: "config", now: performance.now(), config: configOf(scenario, "client") });
    for (let next = wire.shift(); next; next = wire.shift()) give(next.to, next.input);
  }
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

warmUp(WARM_UP);
console.log("ready");
for await (const line of lines) console.log(JSON.stringify(await load(Number(line))));
ike.close();
natt.close();
