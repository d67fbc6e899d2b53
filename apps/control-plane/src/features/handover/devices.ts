import {
  authenticationFor,
  type ClientCredential,
  DEVICES,
  type Description,
  type Device,
  makePkcs12,
  makeProfile,
  type Profile,
  type Proofs,
  requireProfile,
} from "@sallyport/handover";
import type { Access } from "./access.service.js";
import { handoverFault } from "./faults.js";
import type { Collected } from "./sealed-key.js";

/** Beside the profiles of devices: the key alone, for what none of them is for. */
const KEY_ALONE = { "pkcs12-modern": "modern", "pkcs12-legacy": "legacy" } as const;
type KeyAlone = keyof typeof KEY_ALONE;
export type Choice = Device | KeyAlone;

export const CHOICES: readonly Choice[] = [...DEVICES, ...(Object.keys(KEY_ALONE) as KeyAlone[])];
export const isChoice = (text: string): text is Choice => CHOICES.some((c) => c === text);
const isKeyAlone = (choice: Choice): choice is KeyAlone => choice in KEY_ALONE;

export interface Caller {
  readonly id: string;
  readonly name: string;
  readonly username: string;
  /** Null: he has no password. */
  readonly passwordSetAt: Date | null;
}

/** @throws handover/not-a-user, handover/no-such-authentication */
export function describeFor(
  choice: Choice,
  access: Access,
  person: Caller,
  credential: ClientCredential | undefined,
): Description {
  const told = access.told(person.username);
  if (!told) {
    throw handoverFault("handover/not-a-user", `${access.service} does not let ${person.username} in`, {
      field: "roadWarriorId",
      value: person.username,
      expected: "a person who is enabled and in one of the service's groups",
    });
  }
  const { gateway, proposals, organization, service } = access;
  return {
    // A profile that is made anew takes the old one's place on the device.
    id: `${access.remoteAccessId}/${access.gatewayId}/${person.id}`,
    name: `${organization} ${service}`,
    ...{ organization, gateway, proposals, person },
    ...told,
    authentication: methodFor(choice, access, {
      certificate: credential !== undefined,
      password: person.passwordSetAt !== null,
    }),
    credential,
  };
}

function methodFor(choice: Choice, { methods, service }: Access, proofs: Proofs) {
  const device = isKeyAlone(choice) ? "swanctl" : choice;
  const method = authenticationFor(device, methods, proofs);
  if (method) return method;
  const how = proofs.certificate ? "a certificate" : "a password";
  throw handoverFault("handover/not-offered", `${choice} cannot prove a person by ${how} to ${service}`, {
    field: "device",
    value: choice,
    expected: `a device that can do one of ${methods.join(", ")} ${proofs.certificate ? "with" : "without"} a certificate`,
  });
}

/** Whether the choice could be handed over. @throws handover/* */
export function requireChoice(
  choice: Choice,
  access: Access,
  person: Caller,
  credential: ClientCredential | undefined,
): void {
  const description = describeFor(choice, access, person, credential);
  if (!isKeyAlone(choice)) requireProfile(choice, description);
  else if (!credential)
    throw handoverFault("handover/not-offered", "there is no key to hand over", { field: "device" });
}

/** The files; `sign` signs what is for a device that looks at signatures. @throws handover/* */
export async function makeFiles(
  choice: Choice,
  description: Description,
  sign: (profile: Profile) => Promise<Profile>,
): Promise<Collected> {
  if (choice === "apple") return sign(await makeProfile(choice, description));
  if (!isKeyAlone(choice)) return makeProfile(choice, description);
  return { files: [await makePkcs12(description, KEY_ALONE[choice])], notes: [] };
}
