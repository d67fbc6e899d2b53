import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { eventually, firstReply, Stopwatch, type Strongswan, startStrongswan } from "@sallyport/testkit";
import type { Api } from "./api.ts";
import {
  AFTER_THEFT,
  type AfterTheft,
  CREATE_HANDOVER,
  CREATE_POOL,
  CREATE_PROFILE,
  CREATE_REMOTE_ACCESS,
  CREATE_ROAD_WARRIOR,
  type CreateHandover,
  ISSUING_AUTHORITIES,
  type IssuingAuthorities,
  type Made,
  REVOKE_ROAD_WARRIOR,
  type RevokeRoadWarrior,
} from "./operations.ts";
import { HEADQUARTERS, NS } from "./world.ts";

/** Addresses that people get. */
const POOL = "10.30.0.0/24";

export interface Theft {
  /** From the mutation until the laptop's own strongSwan has no IKE SA any more: milliseconds. */
  readonly toDropMs: number;
  readonly refusedAgain: boolean;
  /** Whether the lease was the person's, and has ended. */
  readonly leaseEnded: boolean;
  /** The code by which the audit log has the refusal. */
  readonly audited: string;
}

/** Whoever travels with a laptop: remote access as an operator sets it up, and the laptop as its holder does. */
export class RoadWarrior {
  readonly #api: Api;
  readonly #home: string;
  #laptop: Strongswan | undefined;
  #connection = "";
  #address = "";
  #ids: { readonly person: string; readonly service: string; readonly profile: string } | undefined;

  constructor(api: Api, home: string) {
    this.#api = api;
    this.#home = path.join(home, "laptop");
  }

  /** Remote access at a gateway with one person, who has nothing yet; and a laptop with strongSwan, switched on. */
  async prepare(gatewayId: string, dataPlane: "userspace" | "kernel", tell: (what: string) => void): Promise<void> {
    const make = async (operation: string, input: object) => (await this.#api.run<Made>(operation, { input })).made.id;
    tell("mutation createRoadWarrior");
    const person = await make(CREATE_ROAD_WARRIOR, { name: "Ann Example", username: "ann@example.org" });
    const pool = await make(CREATE_POOL, { name: "Travellers", addresses: [POOL] });
    tell("mutation createRemoteAccess");
    const service = await make(CREATE_REMOTE_ACCESS, {
      ...{ name: "Travellers", gatewayIds: [gatewayId], poolIds: [pool] },
      ...{ methods: ["CERTIFICATE"], networks: [HEADQUARTERS.subnet] },
    });
    const { certificateAuthorities } = await this.#api.run<IssuingAuthorities>(ISSUING_AUTHORITIES);
    const issuing = certificateAuthorities.edges.find(
      ({ node }) => node.level === "ISSUING" && node.purpose === "GATEWAY_IDENTITY",
    );
    const profile = await make(CREATE_PROFILE, {
      ...{ name: "Travellers", kind: "ROAD_WARRIOR", authorityId: issuing?.node.id, emailHosts: ["example.org"] },
    });
    this.#ids = { person, service, profile };
    tell("switching the laptop on");
    await mkdir(this.#home, { recursive: true });
    this.#laptop = await startStrongswan({
      namespace: NS.laptop,
      parent: this.#home,
      dataPlane: dataPlane === "kernel" ? "kernel-netlink" : "kernel-libipsec",
      settings: { install_virtual_ip: "yes" },
    });
  }

  async stop(): Promise<void> {
    await this.#laptop?.stop();
  }

  /** From the operator's mutation, over the link, to the first reply inside the tunnel: milliseconds, and the address that was leased. */
  async connect(tell: (what: string) => void): Promise<{ readonly toPingMs: number; readonly address: string }> {
    const [ids, laptop] = this.#ready();
    const watch = new Stopwatch();
    tell("mutation createHandover");
    const { createHandover } = await this.#api.run<CreateHandover>(CREATE_HANDOVER, {
      input: {
        ...{ roadWarriorId: ids.person, remoteAccessId: ids.service, expiresInMinutes: 60 },
        ...{ certificate: { profileId: ids.profile }, devices: ["SWANCTL"] },
      },
    });
    tell("opening the link");
    const folder = path.join(this.#home, "swanctl");
    this.#connection = await collect(createHandover.link, folder, createHandover.passphrase);
    tell("swanctl --load-all");
    await laptop.swanctl(folder, "--load-all", "--noprompt", "--file", path.join(folder, "swanctl.conf"));
    await this.#initiate();
    const [sa] = await laptop.listSas();
    const address = sa?.localVips[0] ?? "";
    this.#address = address;
    await firstReply(NS.laptop, HEADQUARTERS.host, { source: address });
    return { toPingMs: watch.stop(), address };
  }

  /** Hangs up and calls again. Gives how the gateway has proved itself, in the words of the laptop's strongSwan. */
  async callAgain(): Promise<string> {
    const [, laptop] = this.#ready();
    await laptop.swanctl(this.#home, "--terminate", "--ike", this.#connection, "--timeout", "20");
    await this.#initiate();
    return /.*authentication of \S+ with (\S+).* successful/s.exec(await laptop.wholeLog())?.[1] ?? "";
  }

  /** The laptop was stolen. */
  async revoke(tell: (what: string) => void): Promise<Theft> {
    const [ids, laptop] = this.#ready();
    const watch = new Stopwatch();
    tell("mutation revokeRoadWarrior");
    const revoked = this.#api.run<RevokeRoadWarrior>(REVOKE_ROAD_WARRIOR, {
      input: { id: ids.person, reason: "KEY_COMPROMISE" },
    });
    await eventually(
      "the laptop's SA is gone",
      async () => (await laptop.listSas()).length === 0 || undefined,
      20_000,
      10,
    );
    const toDropMs = watch.stop();
    await revoked;
    tell("the thief tries again");
    const refusedAgain = await this.#initiate().then(
      () => false,
      () => true,
    );
    const [leaseEnded, audited] = await this.#aftermath(ids.person);
    return { toDropMs, refusedAgain, leaseEnded, audited };
  }

  /** What the control plane has on record: that the lease ended, and by what code the thief was refused. */
  #aftermath(person: string): Promise<readonly [boolean, string]> {
    return eventually("the control plane has it on record", async () => {
      const { leases, auditEntries } = await this.#api.run<AfterTheft>(AFTER_THEFT, { person, address: this.#address });
      const [lease] = leases.edges;
      const refused = auditEntries.edges.find(({ node }) => node.action === "refusePeer")?.node.after;
      const done = lease && lease.node.endedAt !== null && refused?.code !== undefined;
      return done ? ([lease.node.identity === "ann@example.org", refused.code ?? ""] as const) : undefined;
    });
  }

  /** As the page tells its reader to. */
  async #initiate(): Promise<void> {
    const [, laptop] = this.#ready();
    await laptop.swanctl(this.#home, "--initiate", "--child", "net", "--ike", this.#connection, "--timeout", "20");
  }

  #ready() {
    if (!this.#ids || !this.#laptop) throw new Error("the road warrior has to be prepared first");
    return [this.#ids, this.#laptop] as const;
  }
}

/**
 * Opens the link as a browser would, chooses strongSwan, and puts the files where the page says, below `folder`. Gives the name of the
 * connection in them.
 */
async function collect(link: string, folder: string, passphrase: string): Promise<string> {
  const fetched = async (what: string, init: RequestInit) => {
    const response = await fetch(new URL(what, link), { redirect: "manual", ...init });
    if (response.status >= 400) throw new Error(`the page behind the link says ${response.status}`);
    return response;
  };
  await fetched(link, {});
  const chosen = await fetched(link, { method: "POST", body: new URLSearchParams({ device: "swanctl" }) });
  const headers = { cookie: (chosen.headers.get("set-cookie") ?? "").replace(/;.*/, "") };
  const page = await (await fetched(link, { headers })).text();
  const places = [...page.matchAll(/<code>\/etc\/swanctl\/([\w./-]+)<\/code>/g)].map((found) => String(found[1]));
  const files = [...page.matchAll(/href="([^"]+\/files\/[^"]+)"/g)].map((found) => String(found[1]));
  for (const [i, file] of files.entries()) {
    const place = path.join(folder, places[i] ?? "");
    await mkdir(path.dirname(place), { recursive: true });
    await writeFile(place, new Uint8Array(await (await fetched(file, { headers })).arrayBuffer()));
  }
  const conf = places.find((place) => place.endsWith(".conf")) ?? "";
  const text = await readFile(path.join(folder, conf), "utf8");
  // Whoever types the passphrase at swanctl's prompt has a terminal, which the demo has not.
  const opened = text.replace(/(file = ".*\.p12")/, `$1\n secret = "${passphrase}"`);
  await writeFile(path.join(folder, "swanctl.conf"), opened);
  return path.basename(conf, ".conf");
}
