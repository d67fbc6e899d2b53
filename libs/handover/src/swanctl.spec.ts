import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { describedAs, PASSPHRASE, withPassword } from "../testing/description.js";
import { type Section, viciRecorder } from "../testing/vici.js";
import type { Description } from "./description.js";
import { slugOf } from "./fingerprint.js";
import { makeProfile } from "./index.js";

// swanctl is run on machines that do other things too.
const run = promisify(execFile);

/** What swanctl, with strongSwan's own parser, tells the daemon of a profile. */
async function loaded(d: Description) {
  const dir = mkdtempSync(path.join(tmpdir(), "sallyport-swanctl-"));
  const vici = await viciRecorder(path.join(dir, "vici"));
  try {
    const { files, notes } = await makeProfile("swanctl", d);
    for (const { name, content } of files) {
      mkdirSync(path.join(dir, path.dirname(name)), { recursive: true });
      writeFileSync(path.join(dir, name), content);
    }
    const conf = path.join(dir, files[0]?.name as string);
    const { stdout } = await run("swanctl", [
      "--load-conns",
      "--file",
      conf,
      "--uri",
      `unix://${path.join(dir, "vici")}`,
    ]);
    const connections = vici.commands.filter((c) => c.name === "load-conn").map((c) => c.message[slugOf(d)] as Section);
    return { stdout, connection: connections[0] as Section, count: connections.length, files, notes };
  } finally {
    await vici.close();
    rmSync(dir, { recursive: true });
  }
}

it("swanctl reads the connection as it was meant", async () => {
  const { connection, count, files, notes } = await loaded(describedAs());
  expect(count).toBe(1);
  expect(connection).toMatchObject({
    version: "2",
    remote_addrs: ["vpn.example.org"],
    vips: ["0.0.0.0", "::"],
    proposals: ["aes256gcm16-prfsha384-x25519", "aes256-aes128-sha256-prfsha256-ecp256-modp2048"],
    local: { auth: "pubkey", id: "email:ann@example.org" },
    remote: { auth: "pubkey", id: "fqdn:vpn.example.org" },
    children: {
      net: {
        remote_ts: ["10.1.0.0/16", "10.2.0.0/16"],
        esp_proposals: ["aes256gcm16-x25519", "aes256-aes128-sha256-ecp256-modp2048"],
      },
    },
  });
  expect(files.map((f) => f.name.split("/")[0])).toEqual(["conf.d", "x509ca", "x509ca", "pkcs12"]);
  expect(notes.map((n) => n.code)).toEqual(["handover/dns-by-gateway"]);
});

it("a password, EAP-TLS, and a certificate with a password", async () => {
  const eap = { auth: "eap-mschapv2", eap_id: "ann@example.org" };
  const password = await loaded(withPassword());
  expect(password.connection).toMatchObject({ local: eap });
  expect(password.notes.map((n) => n.code)).toContain("handover/password-by-hand");
  const tls = await loaded(describedAs({ authentication: "eap-tls" }));
  expect(tls.connection).toMatchObject({ local: { auth: "eap-tls" } });
  const both = await loaded(describedAs({ authentication: "certificate-and-eap-mschapv2", networks: [] }));
  expect(both.connection).toMatchObject({
    "local-1": { round: "1", auth: "pubkey" },
    "local-2": { round: "2", ...eap },
    children: { net: { remote_ts: ["0.0.0.0/0", "::/0"] } },
  });
});

it("swanctl opens the key with the passphrase that is shown apart, and finds the CAs where it looks for them", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "sallyport-swanctl-"));
  const vici = await viciRecorder(path.join(dir, "vici"));
  try {
    const profile = await makeProfile("swanctl", describedAs());
    for (const { name, content } of profile.files) {
      mkdirSync(path.join(dir, path.dirname(name)), { recursive: true });
      writeFileSync(path.join(dir, name), content);
    }
    // Whoever types it at swanctl's prompt has a terminal, which a test has not.
    const conf = path.join(dir, "with-secret.conf");
    const text = Buffer.from(profile.files[0]?.content ?? []).toString();
    writeFileSync(conf, text.replace(/(file = ".*\.p12")/, `$1\n secret = "${PASSPHRASE}"`));
    const args = ["--load-creds", "--noprompt", "--file", conf, "--uri", `unix://${path.join(dir, "vici")}`];
    await run("swanctl", args, { env: { ...process.env, SWANCTL_DIR: dir } });
    const told = vici.commands.map(({ name, message: m }) => [name, m.type ?? "", m.flag ?? ""].join(" ").trim());
    expect(told.filter((c) => c === "load-cert X509 CA")).toHaveLength(2);
    expect(told.filter((c) => c.startsWith("load-key"))).toHaveLength(1);
    expect(told).toContain("load-cert X509 NONE");
  } finally {
    await vici.close();
    rmSync(dir, { recursive: true });
  }
});

it("a name that closes quotation marks and sections opens no connection of its own", async () => {
  const username = 'a"}}x{remote_addrs=evil}#$\\@example.org';
  const { connection, count } = await loaded(withPassword({ person: { name: "x", username } }));
  expect(count).toBe(1);
  expect(connection).toMatchObject({ local: { eap_id: username, id: `email:${username}` } });
});
