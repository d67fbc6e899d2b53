import { createHmac } from "node:crypto";
import { Prefix } from "@sallyport/base";
import { pauseAfter } from "./deliver.job.js";
import { checkWebhookUrl, postWebhook, signature } from "./webhook.js";

const key = "00".repeat(32);
const message = { id: "id", body: "{}", now: new Date(0) };

describe("a webhook", () => {
  it.each([
    ["http://127.0.0.1:1/", "on this machine"],
    ["https://127.0.0.1:1/", "on this machine"],
    ["https://[::1]:1/", "on this machine"],
    ["http://[::ffff:127.0.0.1]:1/", "on this machine"],
    ["http://0x7f000001:1/", "on this machine"],
    ["https://169.254.169.254/latest/meta-data", "on this machine"],
    ["https://10.0.0.1/", "in a private network"],
    ["https://[fd00::1]/", "in a private network"],
    ["http://192.0.2.1/", "has to be https"],
  ])("at %s is sent nothing: %s", async (url, why) => {
    await expect(postWebhook({ url, key }, message, [])).rejects.toMatchObject({
      code: "alert/webhook-failed",
      message: expect.stringContaining(why),
    });
  });

  it("may be where the installation says, and does not answer there", async () => {
    const permitted = [Prefix.parse("127.0.0.0/8")];
    await expect(postWebhook({ url: "http://127.0.0.1:1/secret", key }, message, permitted)).rejects.toMatchObject({
      code: "alert/webhook-failed",
      message: expect.not.stringMatching(/secret|nothing is sent/),
    });
  });

  it.each([
    "ftp://example.com/",
    "https://user@example.com/",
    "https://u:p@example.com/",
    "https://example.com/#x",
    "x",
    `https://example.com/${"x".repeat(2_000)}`,
  ])("is not %s", (url) =>
    expect(() => checkWebhookUrl(url, "url")).toThrow(expect.objectContaining({ code: "api/bad-input", value: "***" })),
  );

  it("is sent what the holder of the key can check", () => {
    const expected = createHmac("sha256", Buffer.alloc(32)).update('1700000000.{"a":1}').digest("hex");
    expect(signature(key, 1_700_000_000, '{"a":1}')).toBe(`t=1700000000,v1=${expected}`);
  });

  it("is asked again after longer and longer pauses", () => {
    expect([1, 2, 3, 9, 10, 30, 2_000].map(pauseAfter)).toEqual(
      [5, 10, 20, 1_280, 1_800, 1_800, 1_800].map((s) => s * 1_000),
    );
  });
});
