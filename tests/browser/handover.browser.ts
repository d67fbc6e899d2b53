import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { enrol } from "../../apps/agent/src/enrol/index.js";
import { EnrolmentStore } from "../../apps/agent/src/store/index.js";
import type { Api } from "../../apps/control-plane/test/control-plane.js";
import { CREATE_SITE, type MadeSite } from "../../apps/control-plane/test/fleet.js";
import { handoverOf, serveAnn } from "../../apps/control-plane/test/handover.js";
import { startBrowser } from "./browser.js";
import { type RunningControlPlane, startControlPlane } from "./control-plane.js";

const PHONE: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
  userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
};
const LAPTOP: BrowserContextOptions = {
  viewport: { width: 1280, height: 800 },
  userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36",
};
/** Where pictures are written for people to look at; absent: nowhere. */
const PICTURES = process.env.SALLYPORT_PICTURES;

let browser: Browser;
let controlPlane: RunningControlPlane;
let folder: string;
let make: (certificate: boolean) => Promise<{ readonly link: string; readonly passphrase: string | null }>;
const problems: string[] = [];

beforeAll(async () => {
  [controlPlane, browser, folder] = await Promise.all([
    startControlPlane(),
    startBrowser(),
    mkdtemp(path.join(tmpdir(), "sallyport-handover-")),
  ]);
  const api: Api = {
    get: async <T>(query: string, variables: object = {}) => {
      const response = await fetch(`${controlPlane.url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${controlPlane.token}` },
        body: JSON.stringify({ query, variables }),
      });
      const { data, errors } = (await response.json()) as { data: T; errors?: unknown };
      if (errors) throw new Error(JSON.stringify(errors));
      return data;
    },
  };
  const { createSite: site } = await api.get<{ createSite: MadeSite }>(CREATE_SITE, {
    input: { name: "Headquarters", subnets: ["10.1.0.0/16"], gateway: { host: "198.51.100.1" } },
  });
  await enrol({ token: site.enrolment.token, store: new EnrolmentStore(folder), agentVersion: "0.1.0" });
  const { service, ann, profile } = await serveAnn(api, site.gateway.id);
  const input = { roadWarriorId: ann, remoteAccessId: service };
  make = (certificate) =>
    handoverOf(api, { ...input, ...(certificate ? { certificate: { profileId: profile } } : {}) });
});
afterAll(async () => {
  await browser?.close();
  await controlPlane?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A new browser on such a device; whatever it asks elsewhere, or what the policy stops, is a problem. */
async function visit(link: string, device: BrowserContextOptions): Promise<Page> {
  const context = await browser.newContext(device);
  const page = await context.newPage();
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== controlPlane.url) problems.push(request.url());
  });
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().includes("status of 410")) problems.push(message.text());
  });
  await page.goto(link);
  return page;
}

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return;
  await mkdir(PICTURES, { recursive: true });
  await page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });
}

/** Nothing is wider than the screen. */
const fits = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);

it("offers the phone that opens it its own profile first, and gives the key once", async () => {
  const { link, passphrase } = await make(true);
  const page = await visit(link, PHONE);
  await picture(page, "handover-phone");
  expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("VPN for Ann Example");
  expect(await page.getByRole("button").first().getAttribute("value")).toBe("apple");
  expect(await fits(page)).toBe(true);
  await page.getByText("Another device").click();
  expect(await page.getByRole("button").count()).toBe(8);
  await picture(page, "handover-phone-all");
  expect(await fits(page)).toBe(true);

  await page.getByRole("button", { name: "Set up this device" }).click();
  await page.getByRole("link", { name: "Download the profile" }).waitFor();
  await picture(page, "handover-phone-collected");
  expect(await fits(page)).toBe(true);
  expect(await page.content()).not.toContain(passphrase as string);
  for (const time of ["first", "second"]) {
    const waiting = page.waitForEvent("download");
    await page.getByRole("link", { name: "Download the profile" }).click();
    const download = await waiting;
    expect(download.suggestedFilename()).toMatch(/^sallyport-.*\.mobileconfig$/);
    const at = path.join(folder, `${time}.mobileconfig`);
    await download.saveAs(at);
    // CMS SignedData in DER.
    expect((await readFile(at)).subarray(0, 1)).toEqual(Buffer.of(0x30));
  }

  const other = await visit(link, LAPTOP);
  expect(await other.getByRole("heading", { level: 1 }).textContent()).toBe("This link was used");
  await picture(other, "handover-used");
  await Promise.all([page, other].map((p) => p.context().close()));
  // Neither the link nor what opens the key.
  expect(controlPlane.log()).toContain("ready");
  for (const secret of [link.slice(-64), passphrase as string]) expect(controlPlane.log()).not.toContain(secret);
  expect(problems).toEqual([]);
});

it("leads a laptop with Windows to its script, and to other devices as often as it likes where there is no key", async () => {
  const { link } = await make(false);
  const page = await visit(link, LAPTOP);
  expect(await page.getByRole("button").first().getAttribute("value")).toBe("windows");
  await picture(page, "handover-laptop");
  await page.getByRole("button", { name: "Set up this device" }).click();
  const waiting = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download the profile" }).click();
  const download = await waiting;
  const script = await readFile(await download.path(), "utf8");
  expect(script).toContain("-ServerAddress '198.51.100.1'");
  await picture(page, "handover-laptop-collected");
  await page.getByRole("link", { name: "Choose another device" }).click();
  await page.getByText("Another device").click();
  await page.locator('button[value="android"]').click();
  await page.getByRole("heading", { name: "Android" }).waitFor();
  await page.context().close();
  expect(problems).toEqual([]);
});
