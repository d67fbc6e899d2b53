import { Field, ID, InputType, Int, ObjectType, registerEnumType } from "@nestjs/graphql";
import type { KeyType } from "@sallyport/pki";
import { connectionType } from "../../platform/graphql/connection.js";
import { KeyTypeName } from "../certificates/key-type.js";
import type { Choice } from "./devices.js";
import type { HandoverState } from "./handover.service.js";
import type { StaleReason } from "./stale-profiles.service.js";

export const HandoverDeviceName = {
  APPLE: "apple",
  WINDOWS: "windows",
  ANDROID: "android",
  SWANCTL: "swanctl",
  NETWORK_MANAGER: "network-manager",
  ROUTEROS: "routeros",
  PKCS12_MODERN: "pkcs12-modern",
  PKCS12_LEGACY: "pkcs12-legacy",
} as const satisfies Record<string, Choice>;
registerEnumType(HandoverDeviceName, {
  name: "HandoverDevice",
  description: "What a profile is for.",
  valuesMap: {
    APPLE: { description: "iPhone, iPad, Mac: a signed configuration profile." },
    WINDOWS: { description: "Windows 10 and 11: a script for PowerShell 5.1, and the key." },
    ANDROID: { description: "strongSwan's app for Android." },
    SWANCTL: { description: "strongSwan on Linux, through swanctl." },
    NETWORK_MANAGER: { description: "NetworkManager with its strongSwan plug-in." },
    ROUTEROS: { description: "MikroTik RouterOS 7." },
    PKCS12_MODERN: { description: "The key alone: PKCS#12 under AES-256." },
    PKCS12_LEGACY: { description: "The key alone: PKCS#12 under 3DES, for devices that read nothing newer." },
  },
});

const StateName = {
  PENDING: "PENDING",
  COLLECTED: "COLLECTED",
  EXPIRED: "EXPIRED",
  WITHDRAWN: "WITHDRAWN",
} as const satisfies Record<HandoverState, HandoverState>;
registerEnumType(StateName, {
  name: "HandoverState",
  description: "What became of a hand-over.",
  valuesMap: {
    PENDING: { description: "Nobody has collected it yet." },
    COLLECTED: { description: "It was collected. A link without a key goes on until it expires." },
    EXPIRED: { description: "Nobody collected it in time; its key is wiped, and its certificate revoked." },
    WITHDRAWN: { description: "An operator took it back." },
  },
});

const ReasonName = {
  SERVICE: "SERVICE",
  AUTHENTICATION: "AUTHENTICATION",
  GATEWAY: "GATEWAY",
  AUTHORITIES: "AUTHORITIES",
  PROPOSALS: "PROPOSALS",
} as const satisfies Record<StaleReason, StaleReason>;
registerEnumType(ReasonName, {
  name: "StaleProfileReason",
  description: "What of a profile is so no more.",
  valuesMap: {
    SERVICE: { description: "The gateway serves this remote access no more." },
    AUTHENTICATION: { description: "The service takes people by other methods." },
    GATEWAY: { description: "The gateway's address or name." },
    AUTHORITIES: { description: "The authorities above the gateway's certificate." },
    PROPOSALS: { description: "The proposals." },
  },
});

@ObjectType("Handover", { description: "A link by which one person's device gets its profile." })
export class HandoverType {
  @Field(() => ID, { description: "Identifies the hand-over; it is no part of the link's secret." })
  id!: string;

  @Field(() => StateName, { description: "What became of it." })
  state!: HandoverState;

  @Field(() => ID, { description: "The service." })
  remoteAccessId!: string;

  @Field(() => ID, { nullable: true, description: "The certificate whose key is handed over; null: there is no key." })
  certificateId!: string | null;

  @Field(() => [HandoverDeviceName], { description: "What the page offers." })
  devices!: Choice[];

  @Field({ description: "Who made it: an operator's address." })
  createdBy!: string;

  @Field({ description: "When it was made." })
  createdAt!: Date;

  @Field({ description: "Until when the link works." })
  expiresAt!: Date;

  @Field(() => Date, { nullable: true, description: "When it was collected first." })
  collectedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When an operator took it back." })
  withdrawnAt!: Date | null;
}

@ObjectType("HandoverConnection", { description: "A page of hand-overs." })
export class HandoverConnection extends connectionType(HandoverType, "Handover") {}

@ObjectType("StaleProfile", { description: "A profile that says of a gateway what is so no more." })
export class StaleProfileType {
  @Field(() => ID, { description: "Identifies the profile." })
  id!: string;

  @Field(() => ID, { description: "The hand-over that it was collected by." })
  handoverId!: string;

  @Field(() => ID, { description: "The service." })
  remoteAccessId!: string;

  @Field(() => HandoverDeviceName, { description: "What it is for." })
  device!: Choice;

  @Field(() => [ReasonName], { description: "What has changed since it was made." })
  changed!: StaleReason[];

  @Field({ description: "When it was collected." })
  createdAt!: Date;
}

@ObjectType("StaleProfileConnection", { description: "A page of profiles that have gone stale." })
export class StaleProfileConnection extends connectionType(StaleProfileType, "StaleProfile") {}

@ObjectType({ description: "A device that the link does not offer." })
export class UnavailableDevice {
  @Field(() => HandoverDeviceName, { description: "Which." })
  device!: Choice;

  @Field({ description: "Code of the reason." })
  code!: string;

  @Field({ description: "For people." })
  message!: string;
}

@InputType({ description: "A key to make for the person, with its certificate." })
export class HandoverCertificateInput {
  @Field(() => ID, {
    description:
      "A certificate profile for road warriors, of an authority below the root of the organization's gateways.",
  })
  profileId!: string;

  @Field(() => KeyTypeName, {
    defaultValue: "ecdsa-p256",
    description: "The kind of key; not every device knows every kind.",
  })
  keyType!: KeyType;

  @Field(() => Int, { nullable: true, description: "Days that the certificate is good for; absent: the profile's." })
  validDays?: number | null;
}

@InputType({ description: "What is handed over to whom." })
export class CreateHandoverInput {
  @Field(() => ID, { description: "The person." })
  roadWarriorId!: string;

  @Field(() => ID, { description: "The service." })
  remoteAccessId!: string;

  @Field(() => ID, { nullable: true, description: "One of the service's gateways; absent: the first." })
  gatewayId?: string | null;

  @Field(() => [HandoverDeviceName], {
    nullable: true,
    description: "What the page shall offer, all of which has to be possible; absent: whatever is.",
  })
  devices?: Choice[] | null;

  @Field(() => HandoverCertificateInput, {
    nullable: true,
    description: "Absent: no key is handed over, and the person's password is asked for by the device.",
  })
  certificate?: HandoverCertificateInput | null;

  @Field(() => Int, { defaultValue: 1440, description: "For how long the link works, 5 to 10,080 minutes." })
  expiresInMinutes!: number;
}

@ObjectType({ description: "A new link. Link and passphrase are shown this once, and should go different ways." })
export class CreateHandoverPayload {
  @Field(() => HandoverType, { description: "The hand-over." })
  handover!: HandoverType;

  @Field({ description: "The link. Whoever has it may collect what it leads to." })
  link!: string;

  @Field({ description: "The link as a QR code: an SVG image." })
  qrCode!: string;

  @Field(() => String, {
    nullable: true,
    description: "Opens the key; neither the page nor a file has it. Null: there is no key.",
  })
  passphrase?: string | null;

  @Field(() => [UnavailableDevice], { description: "What the page does not offer, and why." })
  unavailable!: UnavailableDevice[];
}
