import type { Choice } from "../devices.js";
import { type Html, html } from "./html.js";

/** What the page says of a device. */
interface Guide {
  readonly name: string;
  readonly about: string;
  /** By what a browser on such a device names itself. */
  readonly agent?: RegExp;
  /** What to do with the files, whose names are given, with a key among them or a password to be asked for. */
  steps(files: readonly string[], hasKey: boolean): readonly Html[];
}

const PASSPHRASE = html`Enter the <strong>passphrase</strong>, which you were given apart from this link.`;
const opening = (hasKey: boolean) =>
  hasKey ? PASSPHRASE : html`Enter your <strong>password</strong> when you are asked for it.`;
const ending = (files: readonly string[], end: string) => files.find((f) => f.endsWith(end)) ?? "";
const plain = (name: string) => name.slice(name.lastIndexOf("/") + 1);

export const GUIDES: Readonly<Record<Choice, Guide>> = {
  apple: {
    name: "iPhone, iPad or Mac",
    about: "A signed configuration profile; nothing to install.",
    agent: /iPhone|iPad|Macintosh/,
    steps: (_, hasKey) => [
      html`Download the profile. On an iPhone or iPad, allow it.`,
      html`Open <strong>Settings → General → VPN &amp; Device Management</strong> (on a Mac: <strong>System Settings → General → Device Management</strong>), choose the profile, and install it.`,
      opening(hasKey),
      html`Turn it on under <strong>Settings → VPN</strong>.`,
    ],
  },
  windows: {
    name: "Windows 10 or 11",
    about: "A script for PowerShell that sets the connection up.",
    agent: /Windows NT/,
    steps: (files, hasKey) => [
      html`Download the script.`,
      html`Open <strong>PowerShell as administrator</strong> and run <code>powershell -ExecutionPolicy Bypass -File "$HOME\\Downloads\\${ending(files, ".ps1")}"</code>`,
      opening(hasKey),
      html`Connect under <strong>Settings → Network &amp; internet → VPN</strong>.`,
    ],
  },
  android: {
    name: "Android",
    about: "For the app “strongSwan VPN Client”.",
    agent: /Android/,
    steps: (_, hasKey) => [
      html`Install <strong>strongSwan VPN Client</strong> from Google Play or F-Droid.`,
      html`Download the profile and open it with the app, or import it there.`,
      opening(hasKey),
      html`Tap the profile in the app to connect.`,
    ],
  },
  "network-manager": {
    name: "Linux desktop",
    about: "NetworkManager with its strongSwan plug-in.",
    agent: /Linux/,
    steps: (files, hasKey) => [
      html`Install NetworkManager's strongSwan plug-in: <code>network-manager-strongswan</code>`,
      html`Download the script and run <code>sudo sh ${ending(files, ".sh")}</code>`,
      html`Connect in the network menu.`,
      opening(hasKey),
    ],
  },
  swanctl: {
    name: "Linux with strongSwan",
    about: "A connection for swanctl.",
    steps: (files, hasKey) => [
      html`Download all files and put them where they belong: ${files.map(
        (f) => html`<br><code>/etc/swanctl/${f}</code>`,
      )}`,
      hasKey
        ? html`Run <code>swanctl --load-all</code> and enter the <strong>passphrase</strong>, which you were given apart from this link.`
        : html`Write your password into a section <code>eap-…</code> of <code>secrets</code> and run <code>swanctl --load-all</code>`,
      html`Connect with <code>swanctl --initiate --child net --ike ${plain(ending(files, ".conf")).replace(/\.conf$/, "")}</code>`,
    ],
  },
  routeros: {
    name: "MikroTik router",
    about: "A script for RouterOS 7.",
    steps: (files, hasKey) => [
      html`Download all files and upload them to the router.`,
      hasKey
        ? html`In its terminal, run <code>:global sallyportPassphrase "…"</code> with the <strong>passphrase</strong>, which you were given apart from this link.`
        : html`In its terminal, run <code>:global sallyportPassword "…"</code> with your <strong>password</strong>.`,
      html`Run <code>/import file-name=${ending(files, ".rsc")}</code>`,
    ],
  },
  "pkcs12-modern": {
    name: "Something else",
    about: "The key and its certificates alone: PKCS#12 under AES-256.",
    steps: () => [html`Download the file and import it.`, PASSPHRASE],
  },
  "pkcs12-legacy": {
    name: "Something else, older",
    about: "The same under 3DES, for what reads nothing newer.",
    steps: () => [html`Download the file and import it.`, PASSPHRASE],
  },
};

/** What is offered, with what the browser seems to run on first. */
export function inOrder(devices: readonly Choice[], userAgent: string): readonly Choice[] {
  // An Android phone says Linux too.
  const own = (["android", "apple", "windows", "network-manager"] as const).find((d) =>
    GUIDES[d].agent?.test(userAgent),
  );
  const rank = (device: Choice) => (device === own ? -1 : Object.keys(GUIDES).indexOf(device));
  return devices.toSorted((a, b) => rank(a) - rank(b));
}

/** Whether the first of the order is what the browser seems to run on. */
export const isRecognized = (device: Choice | undefined, userAgent: string): boolean =>
  device !== undefined && (GUIDES[device].agent?.test(userAgent) ?? false);
