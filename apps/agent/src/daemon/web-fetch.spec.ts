import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { fetchFrom, webFetch } from "./web-fetch.js";

const LIMITS = { bytes: 1000, milliseconds: 300, redirects: 2 };
const anywhere = () => true;

let server: http.Server;
let base: string;
let asked: string[];

beforeEach(async () => {
  asked = [];
  server = http.createServer((request, response) => {
    const path = request.url ?? "";
    asked.push(`${request.method} ${path}`);
    if (path === "/small") response.end("a list");
    else if (path === "/echo") request.pipe(response);
    else if (path === "/large") for (let i = 0; i < 3; i++) response.write(Buffer.alloc(500));
    else if (path === "/loop") response.writeHead(302, { location: "/loop" }).end();
    else if (path === "/once") response.writeHead(301, { location: "small" }).end();
    else if (path === "/tls") response.writeHead(302, { location: "https://elsewhere.example/" }).end();
    else if (path !== "/silent") response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

describe("a fetch", () => {
  it("gives the body, follows a redirect, and posts", async () => {
    expect(Buffer.from(await fetchFrom({ uri: `${base}/small`, limits: LIMITS }, anywhere)).toString()).toBe("a list");
    expect(Buffer.from(await fetchFrom({ uri: `${base}/once`, limits: LIMITS }, anywhere)).toString()).toBe("a list");
    const body = { type: "application/ocsp-request", octets: Uint8Array.of(1, 2, 3) };
    expect([...(await fetchFrom({ uri: `${base}/echo`, limits: LIMITS, body }, anywhere))]).toEqual([1, 2, 3]);
    expect(asked).toEqual(["GET /small", "GET /once", "GET /small", "POST /echo"]);
  });

  it.each([
    ["/large", "more than 1000 octets"],
    ["/silent", "no answer in 300 ms"],
    ["/loop", "more than 2 redirects"],
    ["/tls", "not a plain http URI"],
    ["/nothing", "HTTP status 404"],
  ])("of %s ends: %s", async (path, value) => {
    const fetching = fetchFrom({ uri: `${base}${path}`, limits: LIMITS }, anywhere);
    await expect(fetching).rejects.toMatchObject({ code: "agent/fetch-failed", value });
  });

  it("asks no place on this machine, nor one that a redirect leads to", async () => {
    await expect(webFetch({ uri: `${base}/small`, limits: LIMITS })).rejects.toMatchObject({
      value: "127.0.0.1 is an address of this machine or its link",
    });
    for (const host of ["[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "0.0.0.0", "[fe80::1]"]) {
      await expect(webFetch({ uri: `http://${host}/`, limits: LIMITS })).rejects.toMatchObject({
        value: expect.stringContaining("is an address of this machine or its link"),
      });
    }
    expect(asked).toEqual([]);
    let first = true;
    const onlyOnce = () => {
      const may = first;
      first = false;
      return may;
    };
    await expect(fetchFrom({ uri: `${base}/once`, limits: LIMITS }, onlyOnce)).rejects.toMatchObject({
      code: "agent/fetch-failed",
    });
    expect(asked).toEqual(["GET /once"]);
  });

  it("asks no address of this machine, whichever it is, nor where clouds keep a machine's secrets", async () => {
    const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const hosts = own.filter((a) => !a.scopeid).map((a) => (a.family === "IPv6" ? `[${a.address}]` : a.address));
    for (const host of [...hosts, "100.100.100.200", "[fd00:ec2::254]"]) {
      await expect(webFetch({ uri: `http://${host}:9/`, limits: LIMITS })).rejects.toMatchObject({
        value: expect.stringContaining("is an address of this machine or its link"),
      });
    }
  });

  it("does not wait for a name server without end (hostile input 27)", async () => {
    const never = () => new Promise<never>(() => {});
    const patient = fetchFrom({ uri: "http://slow.example/", limits: LIMITS }, anywhere, never);
    await expect(patient).rejects.toMatchObject({ code: "agent/fetch-failed", value: "no answer in 300 ms" });
  });
});
