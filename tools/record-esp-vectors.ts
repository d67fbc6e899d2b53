// Records one ESP packet of Linux for every suite, to check these transforms against an implementation that is not ours.
// Runs in a kernel with ESP, as root: `node tools/record-esp-vectors.ts > libs/esp/vectors/linux.json`; where the machine's own
// kernel has none, under the guest of libs/testkit/src/labs. Two namespaces with a veth pair; in the first an outbound SA and a
// policy a suite, by iproute2; one UDP datagram is sent; tcpdump in the second keeps what came.
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const DATAGRAM = "what the datagram says";
const ip = (...words: string[]) => execFileSync("ip", words, { encoding: "utf8" });
const kernelVersion = readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();

interface Encryption {
  readonly algorithm: string;
  readonly keyBytes: number;
  readonly kernel: (key: string) => string[];
}

const gcm = (icvBits: number, keyBits: number): Encryption => ({
  algorithm: `aes-gcm-${icvBits / 8}`,
  keyBytes: keyBits / 8 + 4,
  kernel: (key) => ["aead", "rfc4106(gcm(aes))", key, String(icvBits)],
});
const plain = (algorithm: string, keyBytes: number, name: string): Encryption => ({
  algorithm,
  keyBytes,
  kernel: (key) => ["enc", name, key],
});
const aeads = [
  ...[64, 96, 128].flatMap((icvBits) => [gcm(icvBits, 128), gcm(icvBits, 256)]),
  {
    algorithm: "chacha20-poly1305",
    keyBytes: 36,
    kernel: (key: string) => ["aead", "rfc7539esp(chacha20,poly1305)", key, "128"],
  },
];
const ciphers = [
  plain("null", 0, "ecb(cipher_null)"),
  plain("3des-cbc", 24, "cbc(des3_ede)"),
  ...[16, 24, 32].map((bytes) => plain("aes-cbc", bytes, "cbc(aes)")),
  ...[20, 28, 36].map((bytes) => plain("aes-ctr", bytes, "rfc3686(ctr(aes))")),
];
const macs = [
  { algorithm: "hmac-md5-96", keyBytes: 16, name: "hmac(md5)", bits: 96 },
  { algorithm: "hmac-sha1-96", keyBytes: 20, name: "hmac(sha1)", bits: 96 },
  { algorithm: "hmac-sha2-256-128", keyBytes: 32, name: "hmac(sha256)", bits: 128 },
  { algorithm: "hmac-sha2-384-192", keyBytes: 48, name: "hmac(sha384)", bits: 192 },
  { algorithm: "hmac-sha2-512-256", keyBytes: 64, name: "hmac(sha512)", bits: 256 },
  { algorithm: "aes-xcbc-96", keyBytes: 16, name: "xcbc(aes)", bits: 96 },
  { algorithm: "aes-cmac-96", keyBytes: 16, name: "cmac(aes)", bits: 96 },
];

const key = (label: string, bytes: number) =>
  createHash("shake256", { outputLength: bytes }).update(label).digest("hex");
const hexOf = (text: string) => (text === "" ? "" : `0x${text}`);

const combinations = [
  ...aeads.map((encryption) => ({ encryption, mac: undefined })),
  // Every cipher with one MAC, and every MAC with one cipher, say all that there is to say.
  ...ciphers.map((encryption) => ({ encryption, mac: macs[2] })),
  ...macs.map((mac) => ({ encryption: ciphers[2] as Encryption, mac })),
];
const suites = combinations.flatMap((suite) => [false, true].map((esn) => ({ ...suite, esn })));

/** Octets of each captured packet from the ESP header on (pcap, Ethernet, IPv4 without options). */
function* packetsOf(pcap: Buffer): Generator<Buffer> {
  for (let at = 24; at + 16 <= pcap.length; ) {
    const length = pcap.readUInt32LE(at + 8);
    const packet = pcap.subarray(at + 16 + 14, at + 16 + length);
    yield packet.subarray(20, packet.readUInt16BE(2));
    at += 16 + length;
  }
}

const directory = mkdtempSync(path.join(tmpdir(), "record-"));
const [here, there] = ["esp-record-a", "esp-record-b"];
for (const namespace of [here, there]) ip("netns", "add", namespace);
try {
  ip("-n", here, "link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", there);
  ip("-n", here, "addr", "add", "192.0.2.1/24", "dev", "va");
  ip("-n", there, "addr", "add", "192.0.2.2/24", "dev", "vb");
  ip("-n", here, "link", "set", "va", "up");
  ip("-n", there, "link", "set", "vb", "up");
  ip("-n", here, "addr", "add", "10.1.0.1/32", "dev", "va");
  ip("-n", here, "route", "add", "10.2.0.0/16", "via", "192.0.2.2", "src", "10.1.0.1");
  const file = path.join(directory, "pcap");
  const tcpdump = spawn("ip", [
    "netns",
    "exec",
    there,
    "tcpdump",
    "-i",
    "vb",
    "-w",
    file,
    "-U",
    "--immediate-mode",
    "ip proto 50",
  ]);
  await once(tcpdump.stderr, "data");
  await sleep(1000);
  const refused: string[] = [];
  const vectors = suites.map(({ encryption, mac, esn }, index) => {
    const spi = 0x1000 + index;
    const name = `${encryption.algorithm} ${encryption.keyBytes * 8}${mac ? ` ${mac.algorithm}` : ""}${esn ? " esn" : ""}`;
    const encryptionKey = key(`${name} encryption`, encryption.keyBytes);
    const integrityKey = mac && key(`${name} integrity`, mac.keyBytes);
    const ends = ["src", "192.0.2.1", "dst", "192.0.2.2"];
    const numbers = esn
      ? ["replay-window", "64", "replay-oseq", String(0xffff_ff00 + index), "replay-oseq-hi", "5", "flag", "esn"]
      : ["replay-oseq", String(index)];
    const auth = mac ? ["auth-trunc", mac.name, hexOf(integrityKey as string), String(mac.bits)] : [];
    const template = ["tmpl", ...ends, "proto", "esp", "reqid", String(spi), "mode", "tunnel"];
    try {
      ip(
        "-n",
        here,
        "xfrm",
        "state",
        "add",
        ...ends,
        "proto",
        "esp",
        "spi",
        String(spi),
        "reqid",
        String(spi),
        "mode",
        "tunnel",
        ...numbers,
        ...encryption.kernel(hexOf(encryptionKey)),
        ...auth,
      );
    } catch {
      refused.push(name);
      return undefined;
    }
    ip("-n", here, "xfrm", "policy", "update", "src", "10.1.0.0/16", "dst", "10.2.0.0/16", "dir", "out", ...template);
    execFileSync("ip", ["netns", "exec", here, "bash", "-c", `printf '%s' '${DATAGRAM}' > /dev/udp/10.2.0.1/7`]);
    const { algorithm } = encryption;
    return {
      name,
      spi,
      encryption: { algorithm, key: encryptionKey },
      integrity: mac && { algorithm: mac.algorithm, key: integrityKey },
      esn,
      high: esn ? 5 : 0,
    };
  });
  await sleep(1000);
  tcpdump.kill();
  await once(tcpdump, "exit");
  const captured = new Map([...packetsOf(readFileSync(file))].map((packet) => [packet.readUInt32BE(0), packet]));
  const packets = vectors.flatMap((vector) => {
    const packet = vector && captured.get(vector.spi);
    return packet ? [{ ...vector, packet: packet.toString("hex") }] : [];
  });
  console.error(`${packets.length} of ${suites.length} suites; the kernel lacks: ${refused.join(", ") || "none"}`);
  const source = `recorded from Linux ${kernelVersion} by tools/record-esp-vectors.ts`;
  console.log(JSON.stringify({ source, from: "10.1.0.1", to: "10.2.0.1", datagram: DATAGRAM, packets }, null, 2));
} finally {
  for (const namespace of [here, there]) ip("netns", "del", namespace);
  rmSync(directory, { recursive: true });
}
