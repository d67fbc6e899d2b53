import { labelsOf, type TsigAlgorithm } from "@sallyport/dns";
import { isHostName } from "@sallyport/intent";
import { apiFault } from "../../platform/faults.js";
import { checkHost } from "../../platform/input.js";
import { fault } from "./faults.js";
import { PROGRAM_NAME } from "./program.js";

/** How a zone is changed. */
export interface ZoneAccess {
  readonly update?: {
    readonly server: string;
    readonly keyName: string;
    readonly algorithm: TsigAlgorithm;
    readonly secret: string;
  } | null;
  readonly program?: string | null;
  readonly nameServers: readonly string[];
}

const PORT = 53;
const MAX_SERVERS = 8;
/** Octets of a TSIG key. */
const SECRET = { min: 16, max: 128 } as const;

const bad = (field: string, value: string, expected: string) =>
  apiFault("api/bad-input", `${field}: expected ${expected}`, { field, value: value.slice(0, 100), expected });

export function checkZoneName(text: string): string {
  const name = text.toLowerCase().replace(/\.$/, "");
  if (isHostName(name) && name.includes(".")) return name;
  throw bad("input.name", text, "a domain name, as example.org");
}

/** What a zone's row keeps of it, and the key that is to be sealed. */
export function checkAccess({ update, program, nameServers }: ZoneAccess) {
  if (nameServers.length > MAX_SERVERS) {
    throw bad("input.nameServers", `${nameServers.length}`, `at most ${MAX_SERVERS}`);
  }
  const servers = nameServers.map((server, i) => checkServer(server, `input.nameServers[${i}]`));
  if (update && !program) {
    const { algorithm } = update;
    const server = checkServer(update.server, "input.update.server");
    const keyName = checkKeyName(update.keyName);
    const secret = checkSecret(update.secret);
    const columns = { method: "RFC_2136", server, keyName, algorithm, program: null } as const;
    return { secret, columns: { ...columns, nameServers: servers.length > 0 ? servers : [server] } };
  }
  if (program && !update) {
    if (!PROGRAM_NAME.test(program)) throw bad("input.program", program, "the name of a file, without a folder");
    if (servers.length === 0)
      throw bad("input.nameServers", "none", "where it can be seen that the program did its work");
    const columns = { method: "PROGRAM", server: null, keyName: null, algorithm: null, program } as const;
    return { secret: undefined, columns: { ...columns, nameServers: servers } };
  }
  throw bad("input.update", update ? "and a program" : "nothing", "either an update or a program");
}

/** Canonical, as `host:port`. */
function checkServer(text: string, field: string): string {
  const [, bracketed, plain, port = `${PORT}`] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const number = Number(port);
  // An IPv6 address needs no brackets where there is no port.
  const host = checkHost(bracketed ?? plain ?? text, field);
  if (number < 1 || number > 65_535) throw bad(field, text, "a port from 1 to 65535");
  return `${host.includes(":") ? `[${host}]` : host}:${number}`;
}

function checkKeyName(text: string): string {
  const field = "input.update.keyName";
  if (labelsOf(text, field).length === 0) throw bad(field, text, "the key's name, as the server knows it");
  return text.toLowerCase().replace(/\.$/, "");
}

/** Canonical base64. What is wrong with it is said without it. */
function checkSecret(text: string): string {
  const octets = Buffer.from(text, "base64");
  const canonical = octets.toString("base64") === text.trim();
  if (canonical && octets.length >= SECRET.min && octets.length <= SECRET.max) return text.trim();
  throw bad("input.update.secret", "***", `${SECRET.min} to ${SECRET.max} octets in base64`);
}

/** @throws dns/no-zone */
export function noZone(name: string, field: string) {
  return fault("dns/no-zone", `${name} is in no zone that is described`, {
    field,
    value: name,
    expected: "a name in one of dnsZones",
  });
}
