import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { decodeToken } from "@sallyport/contract";
import {
  layOut,
  type PeerConnection,
  remove,
  Stopwatch,
  type Strongswan,
  startStrongswan,
  type Topology,
} from "@sallyport/testkit";
import { startControlPlane, type TestControlPlane } from "../../apps/control-plane/test/control-plane.js";
import { CREATE_SITE, type MadeSite } from "../../apps/control-plane/test/fleet.js";
import { person, pool, SET_PASSWORD } from "../../apps/control-plane/test/people.js";
import { CREATE_PROFILE, type Issued, issue } from "../../apps/control-plane/test/pki.js";
import { Gateway } from "../../tools/demo/gateway.js";
import { eventually } from "./harness.js";

/** One gateway with the real agent, and the people who call it with strongSwan, on a control plane that is run whole. */
const NS = { gateway: "sp-rc-gateway", people: "sp-rc-people" };
const PLANE = "198.18.0.5";
const OURS = "192.0.2.1";
const THEIRS = "192.0.2.2";
const PASSWORD = "correct horse battery";
const TOPOLOGY: Topology = {
  namespaces: [{ name: NS.gateway, loopback: ["10.1.0.1/32"] }, { name: NS.people }],
  cables: [
    [
      { namespace: undefined, device: "sprc0", addresses: [`${PLANE}/30`] },
      { namespace: NS.gateway, device: "plane", addresses: ["198.18.0.6/30"] },
    ],
    [
      { namespace: NS.gateway, device: "wan", addresses: [`${OURS}/30`] },
      { namespace: NS.people, device: "wan", addresses: [`${THEIRS}/30`] },
    ],
  ],
};

let directory: string;
let cp: TestControlPlane;
let isOpen = false;
let site: MadeSite;
let profileId: string;
let gateway: Gateway;
let people: Strongswan;
const ids = new Map<string, string>();
const certificates = new Map<string, Issued>();
const mailbox = (name: string) => `${name}@example.org`;

const caller = (name: string, local: PeerConnection["local"]): PeerConnection => ({
  name,
  localAddress: THEIRS,
  remoteAddress: OURS,
  proposals: ["aes256-sha256-x25519"],
  vips: ["0.0.0.0"],
  local,
  remote: { auth: "pubkey", id: site.gateway.identity },
  children: [{ name: `${name}-all`, remoteTs: ["10.1.0.0/16"], proposals: ["aes256gcm16"] }],
});

async function mutate<T>(name: string, input: object, type: string, selection: string): Promise<T> {
  const operation = `mutation ($input: ${type}!) { ${name}(input: $input) { ${selection} } }`;
  return (await cp.get<Record<string, T>>(operation, { input }))[name] as T;
}

beforeAll(async () => {
  await remove(TOPOLOGY);
  await layOut(TOPOLOGY);
  directory = await mkdtemp(path.join(tmpdir(), "sallyport-revoked-"));
  cp = await startControlPlane({ SALLYPORT_AGENTS_LISTEN: `${PLANE}:0` });
  isOpen = true;
  const input = { name: "Headquarters", subnets: ["10.1.0.0/16"], gateway: { host: OURS } };
  ({ createSite: site } = await cp.get<{ createSite: MadeSite }>(CREATE_SITE, { input }));
  gateway = new Gateway({ name: "hq", namespace: NS.gateway, dataPlane: "userspace", home: directory });
  await gateway.enrol(site.enrolment.command);
  const authorities = await cp.get<{
    certificateAuthorities: { edges: { node: { id: string; purpose: string; level: string; pem: string } }[] };
  }>("{ certificateAuthorities { edges { node { id purpose level pem } } } }");
  const internal = authorities.certificateAuthorities.edges
    .map((e) => e.node)
    .filter((a) => a.purpose === "GATEWAY_IDENTITY");
  const authorityId = internal.find((a) => a.level === "ISSUING")?.id;
  const profile = { name: "People", kind: "ROAD_WARRIOR", authorityId, emailHosts: ["example.org"] };
  const { createCertificateProfile } = await cp.get<{ createCertificateProfile: { id: string } }>(CREATE_PROFILE, {
    input: profile,
  });
  profileId = createCertificateProfile.id;
  for (const name of ["ann", "bob", "cora", "dan", "eve"]) ids.set(name, await person(cp, mailbox(name)));
  for (const name of ["ann", "cora", "dan", "eve"]) certificates.set(name, await issue(cp, profileId, mailbox(name)));
  await cp.get(SET_PASSWORD, { id: ids.get("bob"), password: PASSWORD });
  const service = {
    name: "Staff",
    gatewayIds: [site.gateway.id],
    poolIds: [await pool(cp, "Staff", ["10.9.0.0/24"])],
    methods: ["CERTIFICATE", "EAP_MSCHAPV2"],
    networks: ["10.1.0.0/16"],
  };
  await mutate("createRemoteAccess", service, "CreateRemoteAccessInput", "id");
  people = await startStrongswan({
    namespace: NS.people,
    dataPlane: "kernel-libipsec",
    plugins: ["eap-identity", "eap-mschapv2"],
    authorities: internal.map((a) => a.pem),
    secrets: [{ type: "EAP", owners: [mailbox("bob")], secret: PASSWORD }],
    privateKeys: [...certificates.values()].map((c) => c.privateKey ?? ""),
    connections: [
      ...[...certificates].map(([name, { certificate }]) =>
        caller(name, { auth: "pubkey", id: mailbox(name), certificate: certificate.pem }),
      ),
      caller("bob", { auth: "eap-mschapv2", id: mailbox("bob"), eapId: mailbox("bob") }),
    ],
    settings: { install_virtual_ip: "yes" },
  });
  await serving();
});

afterAll(async () => {
  await people?.stop();
  await gateway?.stop();
  await closePlane();
  await rm(directory, { recursive: true, force: true });
  await remove(TOPOLOGY);
});

async function closePlane(): Promise<void> {
  if (isOpen) await cp.close();
  isOpen = false;
}

interface Status {
  readonly peers: readonly {
    readonly sas: readonly { readonly state: string; readonly remoteId?: string; readonly user?: string }[];
  }[];
}
const status = () => gateway.whileRunning(gateway.ask<Status>("status --json"));
/** It has the remote access in force. */
const serving = () =>
  eventually(
    () =>
      status().then(
        ({ peers }) => peers.length > 0,
        () => false,
      ),
    30_000,
  );
/** Who has an IKE SA, by what the agent says. */
const inside = async () =>
  (await status()).peers
    .flatMap((p) => p.sas)
    .filter((sa) => sa.state === "established")
    .map((sa) => sa.user ?? sa.remoteId)
    .toSorted();

interface Entry {
  readonly id: string;
  readonly at: string;
  readonly confirmations: {
    readonly edges: readonly {
      readonly node: { readonly state: string; readonly confirmedAt: string; readonly endedSas: number };
    }[];
  };
}
const ENTRY = "id at confirmations { edges { node { state confirmedAt endedSas } } }";
const confirmed = (id: string) =>
  eventually(async () => {
    const answer = await cp.get<{ revocation: Entry }>(`query ($id: ID!) { revocation(id: $id) { ${ENTRY} } }`, { id });
    const [edge] = answer.revocation.confirmations.edges;
    return edge?.node.state === "CONFIRMED" && edge.node;
  });
const gone = (name: string) => eventually(async () => (await people.listSas(name)).length === 0);

describe("who is revoked", () => {
  it("by the certificate loses the SA at once, cannot come back, and the gateway says how many ended", async () => {
    await people.initiate("ann-all");
    await people.initiate("cora-all");
    expect(await inside()).toEqual([mailbox("ann"), mailbox("cora")]);
    const before = (await gateway.log()).length;
    const input = { id: certificates.get("ann")?.certificate.id };
    const { revocation } = await mutate<{ revocation: Entry }>(
      "revokeCertificate",
      input,
      "RevokeCertificateInput",
      `revocation { ${ENTRY} }`,
    );
    expect(await confirmed(revocation.id)).toMatchObject({ endedSas: 1 });
    expect(await inside()).toEqual([mailbox("cora")]);
    await gone("ann");
    await expect(people.initiate("ann-all")).rejects.toThrow();
    expect((await gateway.log()).slice(before)).toMatch(/revoked by the control plane/);
  });

  it("as a person is out whatever the person proved", async () => {
    await people.initiate("bob-all");
    expect(await inside()).toEqual([mailbox("bob"), mailbox("cora")]);
    for (const name of ["bob", "cora"]) {
      const { roadWarrior } = await mutate<{ roadWarrior: { revocation: Entry } }>(
        "revokeRoadWarrior",
        { id: ids.get(name) },
        "RevokeRoadWarriorInput",
        `roadWarrior { revocation { ${ENTRY} } } certificates { revocation { ${ENTRY} } }`,
      );
      await confirmed(roadWarrior.revocation.id);
      await gone(name);
      await expect(people.initiate(`${name}-all`)).rejects.toThrow();
    }
    expect(await inside()).toEqual([]);
    const { revocations } = await cp.get<{ revocations: { edges: { node: { progress: { endedSas: number } } }[] } }>(
      "{ revocations(first: 3) { edges { node { progress { endedSas } } } } }",
    );
    // Bob by his name; Cora by either, once.
    expect(revocations.edges.reduce((n, { node }) => n + node.progress.endedSas, 0)).toBe(2);
  });
});

describe("a gateway that was away", () => {
  it("hears who was revoked meanwhile before it answers anyone", async () => {
    await people.initiate("eve-all");
    expect(await inside()).toEqual([mailbox("eve")]);
    await gateway.end();
    await gone("eve");
    const { revocation } = await mutate<{ revocation: Entry }>(
      "revokeCertificate",
      { id: certificates.get("eve")?.certificate.id },
      "RevokeCertificateInput",
      `revocation { ${ENTRY} }`,
    );
    const before = (await gateway.log()).length;
    // She stands at the door while it opens.
    let open = false;
    const knocking = (async () => {
      const refusals: string[] = [];
      while (!open) {
        refusals.push(
          await people.initiate("eve-all", 10_000).then(
            () => "let in",
            () => "refused",
          ),
        );
      }
      return refusals;
    })();
    try {
      await gateway.run();
      await serving();
      expect(await confirmed(revocation.id)).toMatchObject({ endedSas: 0 });
    } finally {
      open = true;
      await knocking;
    }
    expect(await knocking).not.toContain("let in");
    await expect(people.initiate("eve-all")).rejects.toThrow();
    const log = (await gateway.log()).slice(before);
    const [heard, answers] = ["revocations applied", "the last good intent is in force"].map((what) =>
      log.indexOf(what),
    );
    expect(heard).toBeGreaterThan(-1);
    expect(answers).toBeGreaterThan(heard as number);
    await people.initiate("dan-all");
    expect(await inside()).toEqual([mailbox("dan")]);
    await gateway.end();
    await gone("dan");
  });
});

async function startAndAsk(): Promise<void> {
  const watch = new Stopwatch();
  await gateway.run();
  await serving();
  expect(watch.stop()).toBeLessThan(15_000);
  await expect(people.initiate("ann-all")).rejects.toThrow();
  await people.initiate("dan-all");
  expect(await inside()).toEqual([mailbox("dan")]);
  await gateway.end();
  await gone("dan");
}

/** Stands where agents look for the control plane, takes their connections and says nothing. */
async function mute(port: number): Promise<Server> {
  const server = createServer((socket) => socket.on("error", () => undefined));
  await new Promise<void>((resolve) => server.listen(port, PLANE, resolve));
  return server;
}

describe("a gateway that starts without its control plane", () => {
  it("refuses whom it was told of, and lets the others in soon, when nobody is there and when nobody answers", async () => {
    await gateway.end();
    const [url = ""] = decodeToken(site.enrolment.token).urls;
    const port = Number(new URL(url).port);
    await closePlane();
    await startAndAsk();
    const listener = await mute(port);
    try {
      await startAndAsk();
    } finally {
      listener.close();
    }
  });
});
