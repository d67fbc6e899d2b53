import { mkdtemp, rm, stat } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import pino from "pino";
import { fault } from "../faults.js";
import { ask, ControlSocket } from "./control-socket.js";

let directory: string;
let file: string;
let socket: ControlSocket;
let closed = 0;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "sallyport-control-"));
  file = path.join(directory, "agent.sock");
  socket = new ControlSocket(
    file,
    {
      echo: async (args) => args,
      later: (args) => new Promise((resolve) => setTimeout(resolve, 50, args)),
      refuse: async () => {
        throw fault("agent/unknown-tunnel", 'no tunnel "x"', { field: "tunnel", value: "x" });
      },
      fail: async () => {
        throw new Error("the secret is 1234");
      },
      count: async (args, stream) => {
        for (let i = 0; i < Number(args.to); i++) stream.line(`line ${i}`);
        return null;
      },
      follow: async (_args, stream) => {
        stream.line("first");
        stream.closed(() => closed++);
        return undefined;
      },
    },
    pino({ level: "silent" }),
  );
  await socket.open();
});
afterAll(async () => {
  await socket.close();
  await rm(directory, { recursive: true });
});

/** Sends raw octets and gives all that comes back. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const client = net.connect(file, () => client.write(text));
    let answer = "";
    client.setEncoding("utf8").on("data", (chunk) => {
      answer += chunk;
    });
    client.on("error", reject).on("close", () => resolve(answer));
  });
}

it("answers a client that has ended its side", async () => {
  const answer = await new Promise<string>((resolve, reject) => {
    const client = net.connect(file, () => client.end('{"command":"later","n":1}\n'));
    let got = "";
    client.setEncoding("utf8").on("data", (chunk) => {
      got += chunk;
    });
    client.on("error", reject).on("close", () => resolve(got));
  });
  expect(JSON.parse(answer)).toEqual({ ok: true, result: { n: 1 } });
});

it("is root's alone", async () => {
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

it("answers a request with its result", async () => {
  expect(await ask(file, { command: "echo", tunnel: "a", n: 1 })).toEqual({ tunnel: "a", n: 1 });
});

it("hands a refusal's words to the caller", async () => {
  await expect(ask(file, { command: "refuse" })).rejects.toMatchObject({
    code: "agent/refused",
    message: 'no tunnel "x"',
    value: "agent/unknown-tunnel",
  });
});

it("tells nothing of an internal error", async () => {
  expect(await raw('{"command":"fail"}\n')).toBe(
    '{"ok":false,"code":"agent/internal","message":"internal error, see the log"}\n',
  );
});

it.each(["__proto__", "constructor", "toString", "nothing"])("knows no command %s", async (command) => {
  await expect(ask(file, { command })).rejects.toMatchObject({ value: "agent/unknown-command" });
});

it.each(["{\n", "null\n", '"status"\n', "[]\n", "\u0000\n"])("answers %j without falling over", async (text) => {
  expect(JSON.parse(await raw(text))).toMatchObject({ ok: false, code: expect.stringMatching(/^agent\//) });
});

it("lets go of a client that sends too much", async () => {
  expect(await raw("x".repeat(65 * 1024)).catch(() => "")).toBe("");
  expect(await ask(file, { command: "echo" })).toEqual({});
});

it("streams lines, and notices when the client goes", async () => {
  const lines: string[] = [];
  await ask(file, { command: "count", to: 3 }, (line) => lines.push(line));
  expect(lines).toEqual(["line 0", "line 1", "line 2"]);
  await new Promise<void>((resolve) => {
    const client = net.connect(file, () => client.write('{"command":"follow"}\n'));
    client.once("data", () => client.destroy());
    client.once("close", () => resolve());
  });
  for (let i = 0; i < 1_000 && closed === 0; i++) await new Promise((r) => setTimeout(r, 10));
  expect(closed).toBe(1);
});

it("says when no agent runs", async () => {
  await expect(ask(path.join(directory, "none.sock"), { command: "status" })).rejects.toMatchObject({
    code: "agent/not-running",
  });
});

it("lets go of those who follow the log when it closes", async () => {
  const other = new ControlSocket(
    path.join(directory, "other.sock"),
    {
      follow: async (_args, stream) => {
        stream.line("first");
        return undefined;
      },
    },
    pino({ level: "silent" }),
  );
  await other.open();
  let first: () => void = () => {};
  const told = new Promise<void>((resolve) => {
    first = resolve;
  });
  const following = ask(path.join(directory, "other.sock"), { command: "follow" }, () => first());
  await told;
  await other.close();
  expect(await following).toBeUndefined();
});

it("says so when the agent goes without an answer", async () => {
  const file = path.join(directory, "mute.sock");
  const mute = net.createServer((client) => client.once("data", () => client.destroy())).listen(file);
  await expect(ask(file, { command: "up" })).rejects.toMatchObject({ code: "agent/not-running" });
  mute.close();
});
