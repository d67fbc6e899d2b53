import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { decodeMessage, encodeMessage, type ViciReply, type ViciSection } from "./vici-codec.js";

const REQUEST = 0;
const RESPONSE = 1;
const UNKNOWN_COMMAND = 2;
const REGISTER = 3;
const UNREGISTER = 4;
const CONFIRM = 5;
const EVENT_UNKNOWN = 6;
const EVENT = 7;

interface Pending {
  readonly resolve: (packet: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/** A client of charon's control socket. Calls are answered in order, one at a time. */
export class Vici {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #pending: Pending | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  #onEvent: (name: string, message: ViciReply) => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => this.#feed(chunk));
    const failed = (error?: Error) => {
      this.#pending?.reject(error ?? new Error("charon closed its control socket"));
      this.#pending = undefined;
    };
    socket.on("error", failed);
    socket.on("close", () => failed());
  }

  /** Resolves when the socket accepts; rejects with the socket's error. */
  static async connect(path: string): Promise<Vici> {
    const socket = connect(path);
    await once(socket, "connect");
    return new Vici(socket);
  }

  /** Sends a command and gives its reply; a reply with `success = no` is an error that carries charon's words. */
  call(command: string, message: ViciSection = {}): Promise<ViciReply> {
    return this.#exclusive(() => this.#request(command, message));
  }

  /** Sends a command whose results come as events of one name, and gives these. */
  stream(command: string, event: string, message: ViciSection = {}): Promise<ViciReply[]> {
    return this.#exclusive(async () => {
      const events: ViciReply[] = [];
      this.#onEvent = (name, content) => {
        if (name === event) events.push(content);
      };
      await this.#send(REGISTER, event);
      try {
        await this.#request(command, message);
      } finally {
        await this.#send(UNREGISTER, event);
        this.#onEvent = () => {};
      }
      return events;
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  async #request(command: string, message: ViciSection): Promise<ViciReply> {
    const packet = await this.#send(REQUEST, command, encodeMessage(message));
    if (packet[0] === UNKNOWN_COMMAND) throw new Error(`charon knows no command ${command}: is its plugin loaded?`);
    const reply = decodeMessage(packet.subarray(1));
    if (reply.success === "no") throw new Error(`charon refused ${command}: ${reply.errmsg ?? "no reason given"}`);
    return reply;
  }

  #exclusive<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(run);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  #send(type: number, name: string, message: Buffer = Buffer.alloc(0)): Promise<Buffer> {
    const title = Buffer.from(name, "latin1");
    const packet = Buffer.concat([Buffer.of(type, title.length), title, message]);
    const header = Buffer.alloc(4);
    header.writeUInt32BE(packet.length);
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error("charon's control socket is closed"));
      this.#pending = { resolve, reject };
      this.#socket.write(Buffer.concat([header, packet]));
    });
  }

  #feed(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 4) {
      const length = this.#received.readUInt32BE();
      if (this.#received.length < 4 + length) return;
      const packet = this.#received.subarray(4, 4 + length);
      this.#received = this.#received.subarray(4 + length);
      this.#dispatch(packet);
    }
  }

  #dispatch(packet: Buffer): void {
    const type = packet[0];
    if (type === EVENT) {
      const end = 2 + (packet[1] ?? 0);
      this.#onEvent(packet.subarray(2, end).toString("latin1"), decodeMessage(packet.subarray(end)));
      return;
    }
    const pending = this.#pending;
    this.#pending = undefined;
    if (type === EVENT_UNKNOWN) pending?.reject(new Error("charon knows no such event"));
    else if (type === RESPONSE || type === CONFIRM || type === UNKNOWN_COMMAND) pending?.resolve(packet);
    else pending?.reject(new Error(`charon sent a packet of unknown type ${type}`));
  }
}
