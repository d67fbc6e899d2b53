import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { jest } from "@jest/globals";
import { readCertificate } from "@sallyport/pki";
import { IntentStore } from "../../apps/agent/src/store/index.js";
import { AnnouncedKeys } from "../../apps/control-plane/src/features/acme/announced-keys.service.js";
import { RenewalService } from "../../apps/control-plane/src/features/acme/renewal.service.js";
import { renewalName } from "../../apps/control-plane/src/features/acme/renewal-info.js";
import { query } from "../../apps/control-plane/test/database.js";
import { CREATE_NETWORK } from "../../apps/control-plane/test/fleet.js";
import { childReport, ikeReport, tell, upReport } from "../../apps/control-plane/test/reports.js";
import { type AcmeGateway, AcmeLab } from "./acme-lab.js";
import { eventually } from "./harness.js";
import { loopbackTls } from "./pebble.js";

let lab: AcmeLab;

beforeAll(async () => {
  lab = await AcmeLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab.stop());

const renewals = () => lab.plane.application.nest.get(RenewalService, { strict: false });
const rows = (text: string, ...values: unknown[]) => query(lab.plane.connection, text, values);
/** Until an order is there: a row that a job writes at the time of a tick is passed over, and due at the next one. */
const begun = (id: string, orders: number, at?: Date) =>
  eventually(async () => {
    await renewals().tick(at);
    return (await lab.certificateState(id))?.orders.length === orders;
  });
const eventKinds = async () =>
  (await rows("SELECT kind, severity FROM events WHERE kind LIKE 'acme/%'")).map((e) => `${e.kind} ${e.severity}`);

it("a renewal comes by itself at two thirds of a certificate's life, within the account's budget, and is told of when it does not", async () => {
  const at = await lab.pebble();
  const made = await lab.gateway(at);
  const accountId = await lab.account(at);
  const id = await lab.order(made, accountId, ["renewed.example.org"]);
  await lab.ended(id);
  const first = await lab.certificateState(id);
  const [life] = await rows(
    "SELECT not_before AS start, not_after AS end FROM certificates WHERE fingerprint = $1",
    first?.certificate?.fingerprint,
  );
  const [start, end] = [life?.start, life?.end].map(Number) as [number, number];
  const share = (Date.parse(first?.renewAt ?? "") - start) / (end - start);
  expect(share).toBeGreaterThan(0.6);
  expect(share).toBeLessThan(0.67);

  await rows("UPDATE acme_accounts SET orders_per_week = 1 WHERE id = $1", accountId);
  await rows("UPDATE acme_certificates SET renew_at = now() - interval '1 second' WHERE id = $1", id);
  await renewals().tick();
  expect(await eventKinds()).toContain("acme/renewal-delayed WARNING");
  expect((await lab.certificateState(id))?.orders).toHaveLength(1);

  await rows("UPDATE acme_accounts SET orders_per_week = 9 WHERE id = $1", accountId);
  await begun(id, 2, new Date(Date.now() + 3_700_000));
  const second = await eventually(async () => {
    const state = await lab.certificateState(id);
    return state?.certificate?.fingerprint !== first?.certificate?.fingerprint && state;
  });
  expect(second.orders.map((o) => o.state)).toEqual(["ISSUED", "ISSUED"]);
  expect(
    await rows(
      "SELECT superseded_at IS NULL AS current FROM certificates WHERE gateway_id = $1 AND authority_id IS NULL ORDER BY id",
      made.id,
    ),
  ).toEqual([{ current: false }, { current: true }]);
  // Nothing is due, whoever looks.
  await renewals().tick();
  expect((await lab.certificateState(id))?.orders).toHaveLength(2);

  const whole =
    "UPDATE certificates SET not_before = now() - interval '80 days', not_after = now() + interval '20 days'";
  await rows(`${whole} WHERE fingerprint = $1`, second.certificate?.fingerprint);
  await rows("UPDATE acme_certificates SET alert_at = now() - interval '1 second' WHERE id = $1", id);
  await renewals().tick();
  expect(await eventKinds()).toContain("acme/certificate-expiring WARNING");
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);
  await rows("UPDATE acme_certificates SET renew_at = $2 WHERE id = $1", id, inDays(365));
  await renewals().tick(inDays(11));
  await renewals().tick(inDays(21));
  expect(await eventKinds()).toEqual(
    expect.arrayContaining(["acme/certificate-expiring ERROR", "acme/certificate-expired ERROR"]),
  );
  expect(await rows("SELECT alert_at FROM acme_certificates WHERE id = $1", id)).toEqual([{ alert_at: null }]);
});

it("a renewal of a gateway that was enrolled anew comes at once: the key is gone", async () => {
  const at = await lab.pebble();
  const made = await lab.gateway(at);
  const id = await lab.order(made, await lab.account(at), ["anew.example.org"]);
  await lab.ended(id);
  await rows("UPDATE gateways SET enrolled_at = now() WHERE id = $1", made.id);
  await begun(id, 2);
  await eventually(
    async () => (await lab.certificateState(id))?.orders.filter((o) => o.state === "ISSUED").length === 2,
    30_000,
  );
});

it("a renewal comes when the directory wants it (RFC 9773), which is asked as often as it says", async () => {
  const at = await lab.pebble();
  const made = await lab.gateway(at);
  const accountId = await lab.account(at);
  const id = await lab.order(made, accountId, ["ari.example.org"]);
  await lab.ended(id);
  // Pebble of Debian 12 knows no renewal information: then a certificate's own time stands.
  const planned = (await lab.certificateState(id))?.renewAt;
  await renewals().tick();
  await eventually(
    async () => (await rows("SELECT 1 FROM acme_certificates WHERE id = $1 AND ask_at IS NULL", id)).length === 1,
  );
  expect((await lab.certificateState(id))?.renewAt).toBe(planned);

  const { key, cert, roots } = await loopbackTls();
  const asked: string[] = [];
  const [start, end] = [Date.now() + 3_600_000, Date.now() + 7_200_000];
  const server = createServer({ key, cert }, (request, response) => {
    asked.push(request.url ?? "");
    const place = `https://127.0.0.1:${(server.address() as AddressInfo).port}/ari`;
    const window = { suggestedWindow: { start: new Date(start).toISOString(), end: new Date(end).toISOString() } };
    response
      .setHeader("retry-after", "1800")
      .end(JSON.stringify(request.url === "/dir" ? { renewalInfo: place } : window));
  }).listen(0, "127.0.0.1");
  lab.ends(async () => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, "listening");
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/dir`;
  await rows("UPDATE acme_accounts SET directory_url = $2, directory_roots = $3 WHERE id = $1", accountId, url, roots);
  await rows("UPDATE acme_certificates SET ask_at = now() WHERE id = $1", id);
  await renewals().tick(new Date(Date.now() + 1_000));
  const moved = await eventually(async () => {
    const state = await lab.certificateState(id);
    return state?.renewAt !== planned && state;
  });
  const time = Date.parse(moved.renewAt ?? "");
  expect(time >= start && time <= end).toBe(true);
  const [shown] = await rows(
    "SELECT certificate FROM certificates WHERE fingerprint = $1",
    moved.certificate?.fingerprint,
  );
  expect(asked).toEqual(["/dir", `/ari/${renewalName(readCertificate(shown?.certificate as Uint8Array))}`]);
  const [{ minutes } = { minutes: 0 }] = await rows(
    "SELECT extract(epoch FROM ask_at - now()) / 60 AS minutes FROM acme_certificates WHERE id = $1",
    id,
  );
  expect(Math.round(Number(minutes))).toBe(30);
});

it("a renewal waits for its window, unless the certificate is about to expire", async () => {
  const at = await lab.pebble();
  const made = await lab.gateway(at);
  const id = await lab.order(made, await lab.account(at), ["window.example.org"]);
  await lab.ended(id);
  // From three hours from now on, every day.
  const opening = Math.ceil((Date.now() + 3 * 3_600_000) / 60_000) * 60_000;
  const renewalWindow = { from: new Date(opening).toISOString().slice(11, 16), minutes: 60 };
  const { updateAcmeCertificate: updated } = await lab.plane.get<{ updateAcmeCertificate: { renewAt: string } }>(
    "mutation ($input: UpdateAcmeCertificateInput!) { updateAcmeCertificate(input: $input) { renewAt renewalWindow { from } } }",
    { input: { id, renewalWindow } },
  );
  expect(updated).toMatchObject({ renewalWindow: { from: renewalWindow.from } });
  const sinceOpening = (Date.parse(updated.renewAt) - opening) % 86_400_000;
  expect(sinceOpening >= 0 && sinceOpening < 3_600_000).toBe(true);
  const due = () => rows("UPDATE acme_certificates SET renew_at = now() - interval '1 second' WHERE id = $1", id);
  const moved = async () => {
    await due();
    await renewals().tick();
    return (await lab.certificateState(id))?.renewAt;
  };
  const orders = async () => (await lab.certificateState(id))?.orders.length;
  expect(await moved()).toBe(new Date(opening).toISOString());
  // Without one of its own, in those of the gateway's site.
  const ofSite = new Date(opening + 3_600_000).toISOString();
  const [site] = await rows("SELECT site_id AS id FROM gateways WHERE id = $1", made.id);
  await lab.plane.get(
    `mutation ($own: UpdateAcmeCertificateInput!, $site: SetMaintenanceWindowsInput!) {
      updateAcmeCertificate(input: $own) { id } setMaintenanceWindows(input: $site) { id } }`,
    {
      own: { id, renewalWindow: null },
      site: { siteId: site?.id, windows: [{ from: ofSite.slice(11, 16), minutes: 60 }] },
    },
  );
  expect(await moved()).toBe(ofSite);
  expect(await orders()).toBe(1);
  await begun(id, 2, new Date(opening + 3_601_000));
  await lab.ended(id);
  await rows("UPDATE certificates SET not_before = now() - interval '80 days', not_after = now() + interval '20 days'");
  await due();
  await begun(id, 3);
  await lab.ended(id);
});

it("a renewed key is announced to peers who have pinned the old one, and shown after its time, or when they are ready (CERT-11)", async () => {
  const at = await lab.pebble();
  const made = await lab.gateway(at);
  const accountId = await lab.account(at);
  const id = await lab.order(made, accountId, ["pinned.example.org"], { announceHours: 24 });
  await lab.ended(id);
  const first = await eventually(() => made.shown("pinned.example.org"));
  const announced = async () => {
    const text = `{ acmeCertificates { edges { node {
      certificate { fingerprint supersededAt } announced { pin showAt certificate { fingerprint } }
    } } } }`;
    const { acmeCertificates } = await lab.plane.get<{
      acmeCertificates: {
        edges: {
          node: {
            certificate: { fingerprint: string; supersededAt: string | null };
            announced: { pin: string; showAt: string; certificate: { fingerprint: string } } | null;
          };
        }[];
      };
    }>(text);
    return acmeCertificates.edges.at(-1)?.node;
  };
  // The first one replaces none.
  expect((await announced())?.announced).toBeNull();

  const renewed = async () => {
    await lab.order(made, accountId, ["pinned.example.org"], { announceHours: 24 });
    await lab.ended(id);
    return (await announced())?.announced;
  };
  const second = await renewed();
  expect(await announced()).toMatchObject({ certificate: { fingerprint: first.fingerprint, supersededAt: null } });
  expect((await made.shown("pinned.example.org"))?.fingerprint).toBe(first.fingerprint);
  const ahead = Date.parse(second?.showAt ?? "") - Date.now();
  expect(ahead > 23 * 3_600_000 && ahead <= 24 * 3_600_000).toBe(true);
  expect(second?.pin).toMatch(/^[0-9a-f]{64}$/);
  expect(await eventKinds()).toContain("acme/key-announced INFO");

  // One that takes its place before it was shown.
  const third = await renewed();
  expect(third?.pin).not.toBe(second?.pin);
  const keys = lab.plane.application.nest.get(AnnouncedKeys, { strict: false });
  expect(await keys.tick()).toBe(0);
  expect(await keys.tick(new Date(Date.now() + 25 * 3_600_000))).toBe(1);
  const shows = (fingerprint: string | undefined) =>
    eventually(async () => (await made.shown("pinned.example.org"))?.fingerprint === fingerprint);
  await shows(third?.certificate.fingerprint);
  expect(await announced()).toMatchObject({ certificate: { supersededAt: null }, announced: null });
  expect(await eventKinds()).toContain("acme/key-shown INFO");

  const fourth = await renewed();
  await lab.plane.get("mutation ($id: ID!) { showAnnouncedKey(id: $id) { id } }", { id });
  await shows(fourth?.certificate.fingerprint);
});

it("our gateways that have pinned a key take the renewed one before it is shown, and the old one until nothing rests on it (CERT-11)", async () => {
  const at = await lab.pebble();
  const [hub, spoke] = [await lab.gateway(at), await lab.gateway(at)];
  await lab.plane.get(CREATE_NETWORK, {
    input: {
      name: "Pinned",
      hubGatewayIds: [hub.id],
      spokeGatewayIds: [spoke.id],
      authentication: "PUBLIC_CERTIFICATE",
    },
  });
  const [tunnel] = await rows(
    "SELECT key, left_gateway_id AS caller FROM tunnels WHERE left_gateway_id IN ($1, $2)",
    hub.id,
    spoke.id,
  );
  const key = `${tunnel?.key}`;
  // The other end cannot: it knows no address to call at.
  expect(tunnel?.caller).toBe(spoke.id);
  const asked = () => spoke.agent.commands.filter((command) => command === "reauthenticate").length;
  const tunnelOf = async ({ agent }: AcmeGateway) =>
    (await new IntentStore(agent.state).load()).intent?.connections.find((c) => c.id === key);
  const pins = async () => {
    const peer = (await tunnelOf(spoke))?.peer;
    return peer?.method === "certificate" ? (peer.fingerprints ?? []) : [];
  };
  const shown = async () => {
    const local = (await tunnelOf(hub))?.local;
    return local?.method === "certificate" ? local.certificates?.[0]?.fingerprint : undefined;
  };
  const restsOn = (keyId: string) =>
    tell(lab.plane, spoke.id, [
      { ...upReport(key, "a0000001"), ikeSas: [ikeReport([childReport("a0000001")], { keyId })] },
    ]);
  const keys = lab.plane.application.nest.get(AnnouncedKeys, { strict: false });
  /** At the next time that it is looked at. */
  const look = async () => {
    await rows("UPDATE acme_orders SET show_at = now() WHERE show_at IS NOT NULL AND shown_at IS NULL");
    await rows("UPDATE acme_orders SET retire_at = now() WHERE retire_at IS NOT NULL");
    await keys.tick(new Date(Date.now() + 1_000));
  };
  const accountId = await lab.account(at);
  const order = async () => {
    await lab.ended(await lab.order(hub, accountId, ["pinning.example.org"]));
    const [row] = await rows(
      "SELECT fingerprint FROM certificates WHERE gateway_id = $1 AND authority_id IS NULL ORDER BY id DESC LIMIT 1",
      hub.id,
    );
    return `${row?.fingerprint}`;
  };

  const old = await order();
  await eventually(async () => (await shown()) === old && `${await pins()}` === old);
  await restsOn(old);

  await spoke.agent.channel.stop();
  const next = await order();
  expect(next).not.toBe(old);
  await look();
  expect([await shown(), await pins()]).toEqual([old, [old]]);
  spoke.agent.connect();
  await eventually(async () => {
    await look();
    return (await shown()) === next;
  });

  // What rests on the old key makes room for what rests on the new one, before the old one is forgotten.
  await eventually(async () => {
    await look();
    return asked() > 0;
  });
  expect(await pins()).toEqual([old, next].sort());
  await restsOn(next);
  await eventually(async () => {
    await look();
    return `${await pins()}` === next;
  });
  expect(await eventKinds()).toContain("acme/key-retired INFO");
  expect(await shown()).toBe(next);

  // And by what the gateways tell, without a look at the clock.
  const ticks = jest.spyOn(keys, "tick").mockResolvedValue(0);
  lab.ends(async () => ticks.mockRestore());
  const before = asked();
  const last = await order();
  await eventually(async () => (await shown()) === last, 30_000);
  await eventually(() => asked() > before, 30_000);
  expect(await pins()).toEqual([next, last].sort());
  await restsOn(last);
  await eventually(async () => `${await pins()}` === last, 30_000);
});
