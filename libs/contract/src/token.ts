import { createHash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { fault } from "./faults.js";
import { EnrolmentTokenSchema } from "./generated/sallyport/agent/v1/enrolment_pb.js";

/** What an enrolment token says. */
export interface TokenContent {
  /** 32 random octets: the secret itself. */
  readonly secret: Uint8Array;
  /** `https://host:port`, by preference, at least one. */
  readonly urls: readonly string[];
  /** SHA-256 over the SubjectPublicKeyInfo of the control channel's root, 32 octets. */
  readonly caPin: Uint8Array;
}

const PREFIX = "spe1_";
const CHECK_BYTES = 4;
const MAX_CHARS = 4096;
const MAX_URLS = 8;

const checkOf = (body: Uint8Array) => createHash("sha256").update(body).digest().subarray(0, CHECK_BYTES);

/** The token's text: `spe1_`, then base64url of a 4-octet checksum and the protobuf message. Needs no quoting in a shell. */
export function encodeToken(content: TokenContent): string {
  const body = toBinary(
    EnrolmentTokenSchema,
    create(EnrolmentTokenSchema, {
      secret: content.secret,
      controlPlaneUrls: [...content.urls],
      caPin: content.caPin,
    }),
  );
  return PREFIX + Buffer.concat([checkOf(body), body]).toString("base64url");
}

/** @throws contract/bad-token; the text of a token is a secret and never part of the fault. */
export function decodeToken(text: string): TokenContent {
  const refuse = (why: string, cause?: unknown) =>
    fault("contract/bad-token", `this is not an enrolment token: ${why}`, {
      field: "token",
      expected: `the whole text that the control plane printed, ${PREFIX}…`,
      ...(cause === undefined ? {} : { cause }),
    });
  const trimmed = text.trim();
  if (!trimmed.startsWith(PREFIX)) throw refuse(`it does not start with ${PREFIX}`);
  if (trimmed.length > MAX_CHARS) throw refuse("it is too long");
  const coded = trimmed.slice(PREFIX.length);
  const bytes = Buffer.from(coded, "base64url");
  if (bytes.toString("base64url") !== coded) throw refuse("it holds characters that no token has");
  const body = bytes.subarray(CHECK_BYTES);
  if (!checkOf(body).equals(bytes.subarray(0, CHECK_BYTES)))
    throw refuse("some of its characters are missing or changed");
  let message: ReturnType<typeof fromBinary<typeof EnrolmentTokenSchema>>;
  try {
    message = fromBinary(EnrolmentTokenSchema, body);
  } catch (cause) {
    throw refuse("its content cannot be read", cause);
  }
  const { secret, controlPlaneUrls: urls, caPin } = message;
  if (secret.length !== 32 || caPin.length !== 32) throw refuse("its secret or its CA pin has a wrong size");
  if (urls.length === 0 || urls.length > MAX_URLS) throw refuse(`it names ${urls.length} control planes`);
  if (!urls.every(isControlPlaneUrl)) throw refuse("it names a control plane that is not https://host:port");
  return { secret, urls, caPin };
}

function isControlPlaneUrl(text: string): boolean {
  const url = URL.parse(text);
  return url?.protocol === "https:" && url.pathname === "/" && url.search === "" && url.username === "";
}
