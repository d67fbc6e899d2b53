import { describe, expect, it } from "@jest/globals";
import { CHOICES } from "../devices.js";
import { inOrder, isRecognized } from "./guide.js";
import { html } from "./html.js";
import { choosingPage, collectedPage, type Link } from "./page.js";

const link: Link = {
  path: "/h/x",
  organization: `Acme "A" & Sons`,
  service: "<i>Staff</i>",
  person: "Ann</title><script>",
  hasKey: true,
  expiresAt: new Date(Date.UTC(2026, 0, 2, 3, 4)),
};

describe("a page", () => {
  it("shows names as text, wherever they stand", () => {
    for (const page of [
      choosingPage(link, CHOICES, `"><script>`),
      collectedPage(link, {
        ...{ device: "android", files: [`x"><script>.sswan`], notes: ["<script>"], until: link.expiresAt },
      }),
    ]) {
      expect(page).not.toContain("<script>");
      expect(page).not.toContain("<i>");
      expect(page).toContain("Acme &quot;A&quot; &amp; Sons · &lt;i&gt;Staff&lt;/i&gt;");
    }
  });

  it("escapes every value but markup of its own", () => {
    const inner = html`<b>${"<&>'\""}</b>`;
    expect(html`<p title="${'"'}">${inner}${[inner, inner]}${undefined}${7}</p>`.text).toBe(
      `<p title="&quot;">${"<b>&lt;&amp;&gt;&#39;&quot;</b>".repeat(3)}7</p>`,
    );
  });

  it("says once only where there is a key", () => {
    expect(choosingPage(link, CHOICES, "")).toContain("collected once");
    expect(choosingPage({ ...link, hasKey: false }, CHOICES, "")).not.toContain("collected once");
  });
});

describe("the device that opens it", () => {
  it.each([
    ["Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile", "apple"],
    ["Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15", "apple"],
    ["Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "android"],
    ["Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0", "windows"],
    ["Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0", "network-manager"],
  ] as const)("%s", (userAgent, device) => {
    const order = inOrder(CHOICES, userAgent);
    expect([order[0], isRecognized(order[0], userAgent)]).toEqual([device, true]);
    expect(order.toSorted()).toEqual(CHOICES.toSorted());
  });

  it("may be none that is known, or none that is offered", () => {
    expect(isRecognized(inOrder(CHOICES, "curl/8")[0], "curl/8")).toBe(false);
    const order = inOrder(["windows", "swanctl"], "iPhone");
    expect([order[0], isRecognized(order[0], "iPhone")]).toEqual(["windows", false]);
    expect(choosingPage(link, order, "iPhone")).toContain("<details open>");
  });
});
