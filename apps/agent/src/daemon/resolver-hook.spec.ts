import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { IpAddress } from "@sallyport/base";
import type { IkeEvent, IkeStatus } from "@sallyport/ike";
import { eventually } from "@sallyport/testkit";
import pino from "pino";
import { ResolverHook } from "./resolver-hook.js";

const virtual = (...dns: string[]) => ({
  local: [IpAddress.parse("10.9.0.7")],
  remote: [],
  dns: dns.map((t) => IpAddress.parse(t)),
  domains: ["corp.example"],
  subnets: [],
});
const event = (name: "child-up" | "ike-down", given: IkeStatus["virtual"], reason = "failed") =>
  ({ event: name, reason, ike: { peer: "office", virtual: given } }) as unknown as IkeEvent;

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "sallyport-hook-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function hook(script: string): Promise<{ hook: ResolverHook; warned: string[] }> {
  const program = path.join(directory, "hook");
  await writeFile(program, `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  const warned: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => void warned.push(line) });
  return { hook: new ResolverHook(program, log), warned };
}
const lines = async () =>
  (await readFile(path.join(directory, "out"), "utf8").catch(() => "")).split("\n").slice(0, -1);

test("the hook hears of name servers once, and of their end", async () => {
  const { hook: h } = await hook(`cat >>${directory}/out`);
  h.onEvent(event("child-up", virtual("10.3.0.53")));
  h.onEvent(event("child-up", virtual("10.3.0.53")));
  const up = { tunnel: "office", servers: ["10.3.0.53"], domains: ["corp.example"] };
  await eventually("it is told", async () => ((await lines()).length === 1 ? true : undefined));
  h.onEvent(event("ike-down", virtual("10.3.0.53"), "replaced"));
  h.onEvent(event("ike-down", virtual("10.3.0.53")));
  await eventually("it is told of the end", async () => ((await lines()).length === 2 ? true : undefined));
  expect((await lines()).map((line) => JSON.parse(line))).toEqual([up, { tunnel: "office", servers: [], domains: [] }]);
});

test("a hook that fails is told of, and nothing else comes of it", async () => {
  const { hook: h, warned } = await hook("exit 3");
  h.onEvent(event("child-up", virtual("10.3.0.53")));
  await eventually("it is in the log", () => (warned.length > 0 ? true : undefined));
  expect(warned[0]).toContain("ended with 3");
});
