import { faultTable } from "@sallyport/base";

/** Why no profile is made. `field` names the part of the description, `facts` what each side can do. */
export const fault = faultTable({
  /** A name with control characters, an address that is none, a chain without a root. */
  "handover/bad-description": { retry: false, expose: true },
  /** The device can do none of the gateway's proposals; `facts.ours` has the gateway's, `facts.theirs` the device's. */
  "handover/no-common-proposal": { retry: false, expose: true },
  /** The device has no such authentication. */
  "handover/no-such-authentication": { retry: false, expose: true },
  /** The device cannot use a key of this kind. */
  "handover/key-not-usable": { retry: false, expose: true },
  /** The device cannot check the gateway's identity as it is. */
  "handover/identity-not-checked": { retry: false, expose: true },
  /** The authentication wants a certificate with its key, and there is none, or a key and nothing that wants it. */
  "handover/credential-mismatch": { retry: false, expose: true },
});

/** What a device's profile cannot say: left out, and shown with the profile. */
export const NOTES = {
  "handover/first-network-only": "The device keeps to the first network only; the others are not reached.",
  "handover/networks-by-route": "The device asks for everything and is given a route for each network.",
  "handover/dns-left-out": "The device uses the name servers only when everything goes through the tunnel.",
  "handover/dns-by-gateway": "The device takes the name servers from the gateway, when it takes any.",
  "handover/domains-left-out": "The device cannot be told which domains are looked up through the tunnel.",
  "handover/proposals-left-out": "Not everything that the gateway proposes is used by the device.",
  "handover/password-asked": "The device asks for the password; it is not in the profile.",
  "handover/password-by-hand": "The password has to be given on the device before the first connection.",
  "handover/machine-certificate":
    "The key goes into the machine's store: whoever uses the machine connects as this person.",
  "handover/legacy-encryption": "The device reads keys under legacy encryption only (3DES).",
} as const satisfies Record<`handover/${string}`, string>;

export type NoteCode = keyof typeof NOTES;

export interface Note {
  readonly code: NoteCode;
  readonly message: string;
  /** What was left out, as text. */
  readonly value?: string;
}

export function note(code: NoteCode, value?: string): Note {
  return { code, message: NOTES[code], ...(value === undefined ? {} : { value }) };
}
