import type { Browser, Page } from "playwright-core";
import { startBrowser } from "./browser.js";
import { type RunningControlPlane, startControlPlane } from "./control-plane.js";

let browser: Browser;
let controlPlane: RunningControlPlane;
let page: Page;
const elsewhere: string[] = [];
const problems: string[] = [];

beforeAll(async () => {
  controlPlane = await startControlPlane();
  browser = await startBrowser();
  page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol.startsWith("http") && origin !== controlPlane.url) elsewhere.push(request.url());
  });
  page.on("pageerror", (error) => problems.push(error.message));
});
afterAll(async () => {
  await browser?.close();
  await controlPlane?.stop();
});

/** Opens GraphiQL with an operation in the editor and a token among the headers, presses the button, and reads the answer. */
async function ask(operation: string, token: string | undefined): Promise<string> {
  await page.evaluate(
    (headers) => {
      localStorage.clear();
      localStorage.setItem("graphiql:headers", headers);
    },
    token ? JSON.stringify({ authorization: `Bearer ${token}` }) : "{}",
  );
  await page.goto(`${controlPlane.url}/graphiql?query=${encodeURIComponent(operation)}`);
  const answer = page.waitForResponse((r) => (r.request().postData() ?? "").includes("Ask"));
  await page.getByRole("button", { name: /execute query/i }).click();
  await answer;
  const result = page.locator(".result-window");
  await result
    .getByText(/"(data|errors)"/)
    .first()
    .waitFor();
  return ((await result.textContent()) ?? "").replace(/\s/g, "");
}

it("serves GraphiQL from itself alone", async () => {
  const response = await page.goto(`${controlPlane.url}/graphiql`);
  expect(response?.status()).toBe(200);
  await page.getByRole("button", { name: /execute query/i }).waitFor();
  expect(elsewhere).toEqual([]);
  expect(problems).toEqual([]);
});

it("runs an operator's query", async () => {
  const shown = await ask("query Ask { fleetHealth { gateways gatewaysConnected tunnels } }", controlPlane.token);
  expect(shown).toContain('"fleetHealth":{"gateways":0,"gatewaysConnected":0,"tunnels":0}');
});

it("shows a coded error to whoever has no token", async () => {
  const shown = await ask("query Ask { fleetHealth { gateways } }", undefined);
  expect(shown).toContain('"code":"api/unauthenticated"');
});
