import { buildPkcs12, type CmsSigner, type KeyStore, type Pkcs12Encryption, signCms, toPem } from "@sallyport/pki";
import { writeAndroid } from "./android.js";
import { writeApple } from "./apple.js";
import { checkDescription, type Description, rootOf, wantsPassword } from "./description.js";
import { DEVICE_RULES, type Device, type DeviceRules } from "./devices.js";
import { fault, type Note, note } from "./faults.js";
import { type Fingerprint, fingerprintOf, slugOf } from "./fingerprint.js";
import { writeNetworkManager } from "./network-manager.js";
import { type Order, type ProfileFile, textFile, type Written } from "./order.js";
import { writeRouterOs } from "./routeros.js";
import { type Suites, suitesFor } from "./suites.js";
import { writeSwanctl } from "./swanctl.js";
import { writeWindows } from "./windows.js";

/** What is handed over to one device. */
export interface Profile {
  readonly device: Device;
  readonly files: readonly ProfileFile[];
  /** What was left out, and why. */
  readonly notes: readonly Note[];
  /** Of what it was made from: `fingerprintOf`. */
  readonly fingerprint: Fingerprint;
}

const WRITERS: Readonly<Record<Device, (order: Order) => Written>> = {
  apple: writeApple,
  windows: writeWindows,
  android: writeAndroid,
  swanctl: writeSwanctl,
  "network-manager": writeNetworkManager,
  routeros: writeRouterOs,
};

function requireAble(device: Device, d: Description, rules: DeviceRules): void {
  const { identity, address, provesAddress } = d.gateway;
  if (!rules.authentication.includes(d.authentication)) {
    throw fault("handover/no-such-authentication", `${device} has no ${d.authentication}`, {
      field: "authentication",
      value: d.authentication,
      expected: rules.authentication.join(", "),
    });
  }
  const kind = d.credential?.certificate.kind;
  if (kind !== undefined && !rules.keys.includes(kind)) {
    throw fault("handover/key-not-usable", `${device} cannot use a key of ${kind}`, {
      field: "credential.certificate",
      value: kind,
      expected: rules.keys.join(", "),
    });
  }
  const named = rules.identities.some((type) => type === identity.type);
  if (!named || (rules.identityIsAddress && !provesAddress)) {
    throw fault("handover/identity-not-checked", `${device} cannot check the gateway's identity ${identity.value}`, {
      field: "gateway.identity",
      value: `${identity.type}:${identity.value}`,
      expected: rules.identityIsAddress ? `the address that it connects to, ${address}` : rules.identities.join(", "),
    });
  }
}

/** What the device's rules leave out of the description. */
function notesFor(d: Description, rules: DeviceRules): Note[] {
  const { networks, dns, domains } = d;
  const notes: Note[] = [];
  if (rules.networks === "first" && networks.length > 1) {
    notes.push(note("handover/first-network-only", networks.slice(1).join(", ")));
  }
  if (rules.networks === "routes" && networks.length > 0) notes.push(note("handover/networks-by-route"));
  if (rules.dns === "full-tunnel" && networks.length > 0 && dns.length > 0) {
    notes.push(note("handover/dns-left-out", dns.join(", ")));
  }
  if (rules.dns === "gateway" && dns.length > 0) notes.push(note("handover/dns-by-gateway", dns.join(", ")));
  if (!rules.domains && domains.length > 0) notes.push(note("handover/domains-left-out", domains.join(", ")));
  if (wantsPassword(d.authentication)) {
    notes.push(note(rules.asksPassword ? "handover/password-asked" : "handover/password-by-hand"));
  }
  if (d.credential && rules.pkcs12 === "legacy") notes.push(note("handover/legacy-encryption"));
  return notes;
}

/** Key and certificates of the person alone. */
async function pkcs12Of({ name, credential }: Description, encryption: Pkcs12Encryption) {
  return credential && buildPkcs12({ friendlyName: name, ...credential }, credential.passphrase, encryption);
}

/** Whether `makeProfile` would make one, without making it. @throws as it does */
export function requireProfile(device: Device, description: Description): void {
  chosen(device, description);
}

function chosen(device: Device, description: Description): Suites {
  checkDescription(description);
  requireAble(device, description, DEVICE_RULES[device]);
  return suitesFor(description, DEVICE_RULES[device]);
}

/**
 * Makes the profile of one device. The key in it is under the credential's passphrase.
 * @throws handover/*, intent/bad-proposal, pki/* for a key that is not the certificate's
 */
export async function makeProfile(device: Device, description: Description): Promise<Profile> {
  const rules = DEVICE_RULES[device];
  const suites = chosen(device, description);
  const pkcs12 = await pkcs12Of(description, rules.pkcs12);
  const { files, notes = [] } = WRITERS[device]({ description, suites, slug: slugOf(description), pkcs12 });
  return {
    device,
    files,
    notes: [...suites.notes, ...notesFor(description, rules), ...notes],
    fingerprint: fingerprintOf(description),
  };
}

/** An Apple profile with its file signed: devices show who made it, and refuse it when it was changed. @throws pki/bad-algorithm */
export async function signProfile(profile: Profile, store: KeyStore, signer: CmsSigner, now: number): Promise<Profile> {
  const sign = async (file: ProfileFile) => ({ ...file, content: await signCms(store, signer, file.content, now) });
  return { ...profile, files: await Promise.all(profile.files.map(sign)) };
}

/** The key alone, for a device that none of the profiles is for. @throws handover/bad-description, handover/credential-mismatch */
export async function makePkcs12(description: Description, encryption: Pkcs12Encryption): Promise<ProfileFile> {
  checkDescription(description);
  const content = await pkcs12Of(description, encryption);
  if (content === undefined) {
    throw fault("handover/credential-mismatch", "there is no certificate to hand over", { field: "credential" });
  }
  return { name: `${slugOf(description)}.p12`, mediaType: "application/x-pkcs12", content };
}

/** What has to be trusted, alone: the root in PEM. */
export function caFile(description: Description): ProfileFile {
  const pem = toPem("CERTIFICATE", rootOf(description).der);
  return textFile(`${slugOf(description)}-ca.pem`, "application/x-pem-file", pem);
}
