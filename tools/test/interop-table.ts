// Writes docs/interop.md from what the interop tests recorded on both data planes.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import {
  type DataPlane,
  LIMITS,
  type PeerName,
  RECORDS,
  type RecordedFile,
  type RecordedTest,
  type Role,
  SCENARIOS,
  type ScenarioNumber,
} from "../../tests/interop/scenarios.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const TARGET = path.join(ROOT, "docs/interop.md");
const PLANES: readonly DataPlane[] = ["userspace", "kernel"];
const PEERS: readonly PeerName[] = ["strongSwan", "libreswan"];
const ROLES: readonly Role[] = ["initiator", "responder"];

function records(): RecordedFile[] {
  const directory = path.join(ROOT, RECORDS);
  const names = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(".json")) : [];
  const files = names.sort().map((name): RecordedFile => JSON.parse(readFileSync(path.join(directory, name), "utf8")));
  return files.filter(({ file }) => existsSync(path.join(ROOT, file)));
}

const files = records();
const missing = PLANES.filter((plane) => !files.some((file) => file.dataPlane === plane));
if (missing.length > 0) {
  console.log(`docs/interop.md stays as it is: no results of the ${missing.join(" or the ")} data plane`);
  process.exit(0);
}

function cell(tests: readonly RecordedTest[]): string {
  if (tests.length === 0) return "–";
  const count = (result: RecordedTest["result"]) => tests.filter((test) => test.result === result).length;
  const parts = (["passed", "failed", "not run"] as const)
    .filter((result) => count(result) > 0)
    .map((result) => `${count(result)} ${result}`);
  return parts.join(", ");
}

function row(number: ScenarioNumber, peer: PeerName, role: Role): string {
  const proving = files.map((file) => ({
    ...file,
    tests: file.tests.filter((t) => t.scenarios.includes(number) && t.peer === peer && t.roles.includes(role)),
  }));
  const results = PLANES.map((plane) => cell(proving.filter((f) => f.dataPlane === plane).flatMap((f) => f.tests)));
  const proofs = new Set(proving.filter((f) => f.tests.length > 0).map((f) => `\`${f.file}\``));
  const notes = LIMITS.filter((l) => l.scenario === number && l.peer === peer && (l.role ?? role) === role);
  const last = [...proofs, ...notes.map((note) => note.why)];
  return `| ${peer} | ${role} | ${results.join(" | ")} | ${last.join("; ") || "not tested"} |`;
}

const numbers = Object.keys(SCENARIOS).map((text) => Number(text) as ScenarioNumber);
const section = (number: ScenarioNumber) => `### ${number}. ${SCENARIOS[number]}

| peer | we are | userspace ESP | kernel ESP | proved by; what the peer cannot do |
|---|---|---|---|---|
${PEERS.flatMap((peer) => ROLES.map((role) => row(number, peer, role))).join("\n")}
`;

const upstream = (version: string) => /^(?:\d+:)?(.+)-[^-]*$/.exec(version.trim())?.[1] ?? version;
const status = execFileSync("dpkg", ["-s", "charon-systemd"], { encoding: "utf8" });
const strongswan = upstream(/^Version: (.*)$/m.exec(status)?.[1] ?? "");
const libreswan = upstream(readFileSync(path.join(ROOT, ".sallyport/debian/libreswan/version"), "utf8"));

writeFileSync(
  TARGET,
  `# Interoperability

What the tests prove against other people's IPsec daemons: strongSwan ${strongswan} and libreswan ${libreswan} of Debian. This page is
written by the test run itself; do not edit it. Each test compares both ends' view of the SAs and, where there is an SA, sends traffic
through it. libreswan needs a kernel with ESP, so its tests are in the last column.

\`\`\`
npm test -- interop "interop in a kernel" "interop with libreswan" "interop table"
\`\`\`

"userspace ESP": our own ESP over TUN and the peer's in user space, both in UDP. "kernel ESP": both ends' ESP is a Linux kernel's,
under User Mode Linux ([labs.md](labs.md)). We are the initiator where our end sends the request that the test is about.
A number counts tests; – means that none exists.

${numbers.map(section).join("\n")}`,
);
console.log(
  `docs/interop.md: ${files.reduce((sum, file) => sum + file.tests.length, 0)} tests in ${files.length} results`,
);
