import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import { pino } from "pino";
import { type Challenge, ChallengeResponder } from "./challenge-responder.js";

const log = pino({ level: "silent" });
const TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const challenge = (more: Partial<Challenge> = {}): Challenge => ({
  ...{ type: "http-01", name: "vpn.example.org", token: TOKEN, keyAuthorization: `${TOKEN}.thumbprint` },
  ...more,
});

let port: number;
let tlsPort: number;
let responder: ChallengeResponder;

beforeEach(async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as { port: number }).port;
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  tlsPort = (other.address() as { port: number }).port;
  await Promise.all([once(server.close(), "close"), once(other.close(), "close")]);
  responder = new ChallengeResponder(log, { http: port, tls: tlsPort });
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

it("shows the certificate of RFC 8737 §3 to whoever speaks acme-tls/1 and names the name, and to nobody else", async () => {
  const keyAuthorization = `${TOKEN}.thumbprint`;
  await responder.present(challenge({ type: "tls-alpn-01" }));
  expect(await listens()).toBe(false);
  const shown = async (servername: string, ...ALPNProtocols: string[]) => {
    const socket = connectTls({
      port: tlsPort,
      host: "127.0.0.1",
      servername,
      ALPNProtocols,
      rejectUnauthorized: false,
    });
    const opened = await new Promise<boolean>((resolve) => {
      socket.on("secureConnect", () => resolve(true));
      socket.on("error", () => undefined).on("close", () => resolve(false));
    });
    const { alpnProtocol } = socket;
    const certificate = opened ? socket.getPeerX509Certificate() : undefined;
    socket.destroy();
    return { alpnProtocol, certificate };
  };
  const { alpnProtocol, certificate } = await shown("vpn.example.org", "h2", "acme-tls/1");
  expect(alpnProtocol).toBe("acme-tls/1");
  expect(certificate?.subjectAltName).toBe("DNS:vpn.example.org");
  expect(certificate?.verify(certificate.publicKey)).toBe(true);
  // acmeIdentifier, critical: an OCTET STRING of the digest in the extension's own.
  const digest = createHash("sha256").update(keyAuthorization).digest("hex");
  expect(certificate?.raw.toString("hex")).toContain(`06082b0601050507011f0101ff04220420${digest}`);
  expect((await shown("other.example.org", "acme-tls/1")).certificate).toBeUndefined();
  expect((await shown("vpn.example.org", "h2")).certificate).toBeUndefined();
  expect((await at(`/.well-known/acme-challenge/${TOKEN}`).catch(() => undefined))?.status).toBeUndefined();
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
