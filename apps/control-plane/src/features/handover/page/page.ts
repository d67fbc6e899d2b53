import type { Choice } from "../devices.js";
import { GUIDES, inOrder, isRecognized } from "./guide.js";
import { type Html, html } from "./html.js";
import { STYLE } from "./style.js";

/** What every page of a link says. */
export interface Link {
  /** Path of the link, without a slash at its end. */
  readonly path: string;
  readonly organization: string;
  readonly service: string;
  readonly person: string;
  readonly hasKey: boolean;
  readonly expiresAt: Date;
}

export interface CollectedFiles {
  readonly device: Choice;
  readonly files: readonly string[];
  readonly notes: readonly string[];
  readonly until: Date;
}

const minute = (at: Date) => `${at.toISOString().slice(0, 10)} ${at.toISOString().slice(11, 16)} UTC`;

function whole(title: string, body: Html): string {
  // The style is exactly what the policy's hash is of.
  const head = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
`;
  return `${head.text}<style>${STYLE}</style>\n</head>\n<body>\n<main>\n${body.text}\n</main>\n</body>\n</html>\n`;
}

const header = ({ organization, service, person }: Link) => html`<header>
<h1>VPN for ${person}</h1>
<p>${organization} · ${service}</p>
</header>`;

const choice = (device: Choice, quiet: boolean) => html`<form method="post">
<h2>${GUIDES[device].name}</h2>
<p class="soft">${GUIDES[device].about}</p>
<button name="device" value="${device}" class="${quiet ? "quiet" : ""}">${quiet ? "Choose" : "Set up this device"}</button>
</form>`;

const once = html`<section class="warn"><p><strong>The key can be collected once, for one device.</strong>
Choose the device that you want to connect. You will also need the passphrase, which you get another way.</p></section>`;

/** Where a device is chosen. Nothing happens by looking at it. */
export function choosingPage(link: Link, devices: readonly Choice[], userAgent: string): string {
  const [first, ...others] = inOrder(devices, userAgent);
  const recognized = isRecognized(first, userAgent);
  const rest = recognized || first === undefined ? others : [first, ...others];
  return whole(
    `VPN for ${link.person}`,
    html`${header(link)}
${link.hasKey ? once : undefined}
${first !== undefined && recognized ? html`<section>${choice(first, false)}</section>` : undefined}
${rest.length > 0 ? otherDevices(rest, !recognized) : undefined}
<footer><p>This link works until ${minute(link.expiresAt)}.
<a href="${link.path}/ca.pem">The certificate authority alone</a> (PEM) may be fetched as often as you like.</p></footer>`,
  );
}

function otherDevices(devices: readonly Choice[], open: boolean): Html {
  const list = devices.map((device) => choice(device, true));
  return open
    ? html`<details open><summary>Which device is it?</summary>${list}</details>`
    : html`<details><summary>Another device</summary>${list}</details>`;
}

/** Where the files of the chosen device are. */
export function collectedPage(link: Link, { device, files, notes, until }: CollectedFiles): string {
  const guide = GUIDES[device];
  const name = (file: string) => file.slice(file.lastIndexOf("/") + 1);
  const downloads = files.map(
    (file, i) =>
      html`<a class="button${i === 0 ? "" : " quiet"}" href="${link.path}/files/${i}/${name(file)}" download="${name(file)}">${
        files.length === 1 ? "Download the profile" : name(file)
      }</a>`,
  );
  const steps = guide.steps(files, link.hasKey).map((step) => html`<li>${step}</li>`);
  return whole(
    `VPN for ${link.person}`,
    html`${header(link)}
<section>
<h2>${guide.name}</h2>
${downloads}
<p class="soft">In this browser, until ${minute(until)}. ${
      link.hasKey ? "Then it is gone." : "Afterwards, come back and choose again."
    }</p>
<ol>${steps}</ol>
</section>
${
  notes.length > 0
    ? html`<details><summary>Good to know</summary>${notes.map((note) => html`<p class="soft">${note}</p>`)}</details>`
    : undefined
}
<footer><p>${link.hasKey ? undefined : html`<a href="${link.path}?choose">Choose another device.</a> `}<a href="${link.path}/ca.pem">The certificate authority alone</a> (PEM).</p></footer>`,
  );
}

/** Why there is nothing. */
export function refusalPage(title: string, advice: string, code: string): string {
  return whole(
    title,
    html`<header><h1>${title}</h1></header>
<section><p>${advice}</p><p class="soft"><code>${code}</code></p></section>`,
  );
}
