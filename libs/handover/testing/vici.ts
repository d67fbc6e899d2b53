import { createServer, type Socket } from "node:net";

/** A section of a vici message: what strongSwan's own parser made of a configuration. */
export interface Section {
  readonly [key: string]: string | readonly string[] | Section;
}

const SECTION_START = 1;
const SECTION_END = 2;
const KEY_VALUE = 3;
const LIST_START = 4;
const LIST_ITEM = 5;

/** Takes a vici message apart (the encoding of strongSwan's src/libcharon/plugins/vici/README.md). */
function readMessage(octets: Buffer): Section {
  let at = 0;
  const name = () => {
    const length = octets.readUInt8(at);
    at += 1 + length;
    return octets.toString("utf8", at - length, at);
  };
  const value = () => {
    const length = octets.readUInt16BE(at);
    at += 2 + length;
    return octets.toString("utf8", at - length, at);
  };
  const section = (): Section => {
    const out: Record<string, string | readonly string[] | Section> = {};
    while (at < octets.length) {
      const type = octets.readUInt8(at++);
      if (type === SECTION_END) return out;
      const key = name();
      if (type === SECTION_START) out[key] = section();
      else if (type === KEY_VALUE) out[key] = value();
      else if (type === LIST_START) {
        const items: string[] = [];
        while (octets.readUInt8(at++) === LIST_ITEM) items.push(value());
        out[key] = items;
      } else throw new Error(`element ${type} of a vici message`);
    }
    return out;
  };
  return section();
}

const SUCCESS = Buffer.from("\x03\x07success\x00\x03yes", "latin1");

function serve(socket: Socket, onCommand: (name: string, message: Section) => void): void {
  let buffer = Buffer.alloc(0);
  socket.on("data", (data) => {
    buffer = Buffer.concat([buffer, data]);
    while (buffer.length >= 4 && buffer.length >= 4 + buffer.readUInt32BE(0)) {
      const packet = buffer.subarray(4, 4 + buffer.readUInt32BE(0));
      buffer = buffer.subarray(4 + packet.length);
      const length = packet.readUInt8(1);
      onCommand(packet.toString("utf8", 2, 2 + length), readMessage(packet.subarray(2 + length)));
      const header = Buffer.alloc(5);
      header.writeUInt32BE(1 + SUCCESS.length, 0);
      header.writeUInt8(1, 4);
      socket.write(Buffer.concat([header, SUCCESS]));
    }
  });
  socket.on("error", () => socket.destroy());
}

/** Stands where charon's control socket would, says yes to every command and keeps what it was told. */
export async function viciRecorder(path: string) {
  const commands: { readonly name: string; readonly message: Section }[] = [];
  const server = createServer((socket) => serve(socket, (name, message) => commands.push({ name, message })));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { commands, close: () => new Promise((resolve) => server.close(resolve)) };
}
