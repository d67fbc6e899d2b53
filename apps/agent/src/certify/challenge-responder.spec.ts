import { once } from "node:events";
import { connect, createServer } from "node:net";
import { pino } from "pino";
import { type Challenge, ChallengeResponder } from "./challenge-responder.js";

const log = pino({ level: "silent" });
const TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const challenge = (more: Partial<Challenge> = {}): Challenge => ({
  ...{ type: "http-01", name: "vpn.example.org", token: TOKEN, keyAuthorization: `${TOKEN}.thumbprint` },
  ...more,
});

let port: number;
let responder: ChallengeResponder;

beforeEach(async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as { port: number }).port;
  await once(server.close(), "close");
  responder = new ChallengeResponder(log, { http: port });
});
afterEach(() => responder.close());

const at = (path: string, method = "GET") => fetch(`http://127.0.0.1:${port}${path}`, { method });
const listens = () =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });

it("answers a challenge where RFC 8555 §8.3 says, and nothing else; the port is open for that alone", async () => {
  expect(await listens()).toBe(false);
  await responder.present(challenge());
  const answer = await at(`/.well-known/acme-challenge/${TOKEN}`);
  expect([answer.status, await answer.text()]).toEqual([200, `${TOKEN}.thumbprint`]);
  for (const [path, method] of [
    ["/", "GET"],
    ["/.well-known/acme-challenge/", "GET"],
    [`/.well-known/acme-challenge/${TOKEN}x`, "GET"],
    [`/.well-known/acme-challenge/${TOKEN}`, "POST"],
  ] as const) {
    expect([path, (await at(path, method)).status]).toEqual([path, 404]);
  }
  await responder.withdraw(TOKEN);
  expect(await listens()).toBe(false);
});

it("stays open while another challenge is to be answered", async () => {
  const other = `${TOKEN.slice(0, -1)}1`;
  await Promise.all([
    responder.present(challenge()),
    responder.present(challenge({ token: other, keyAuthorization: `${other}.thumbprint` })),
  ]);
  await responder.withdraw(TOKEN);
  expect((await at(`/.well-known/acme-challenge/${TOKEN}`)).status).toBe(404);
  expect((await at(`/.well-known/acme-challenge/${other}`)).status).toBe(200);
  await responder.withdraw(other);
  expect(await listens()).toBe(false);
});

it("refuses what is no challenge, and says who is in the way of its port", async () => {
  for (const [field, bad] of [
    ["type", { type: "dns-01" }],
    ["token", { token: "../../../etc/passwd" }],
    ["token", { token: "short" }],
    ["keyAuthorization", { keyAuthorization: "another.thumbprint" }],
    ["keyAuthorization", { keyAuthorization: `${TOKEN}.${"x".repeat(600)}` }],
  ] as const) {
    expect(() => responder.present(challenge(bad))).toThrow(
      expect.objectContaining({ code: "certify/bad-challenge", field }),
    );
  }
  const other = createServer().listen(port, "::");
  await once(other, "listening");
  await expect(responder.present(challenge())).rejects.toMatchObject({
    code: "certify/port-in-use",
    value: String(port),
  });
  await once(other.close(), "close");
  await responder.present(challenge());
  expect(await listens()).toBe(true);
});
