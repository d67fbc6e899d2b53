import { Buffer } from "node:buffer";
import { challengeHash, masterKey, mschapMsk, ntHash, ntResponse, serverProof, startKeys } from "./mschap-keys.js";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex").toUpperCase();
const octets = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
const utf8 = (text: string) => new TextEncoder().encode(text);

describe("MS-CHAPv2", () => {
  const serverChallenge = octets("5B 5D 7C 7D 7B 3F 2F 3E 3C 2C 60 21 32 26 26 28");
  const peerChallenge = octets("21 40 23 24 25 5E 26 2A 28 29 5F 2B 3A 33 7C 7E");
  const hash = ntHash(utf8("clientPass"));
  const challenge = challengeHash(peerChallenge, serverChallenge, "User");
  const response = ntResponse(challenge, hash);

  it("gives the values of RFC 2759 §9.2", () => {
    expect(hex(hash)).toBe("44EBBA8D5312B8D611474411F56989AE");
    expect(hex(challenge)).toBe("D02E4386BCE91226");
    expect(hex(response)).toBe("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF");
    expect(hex(serverProof(hash, response, challenge))).toBe("407A5589115FD0D6209F510FE9C04566932CDA56");
  });

  it("gives the keys of RFC 3079 §3.5.3", () => {
    expect(hex(masterKey(hash, response))).toBe("FDECE3717A8C838CB388E527AE3CDD31");
    expect(hex(startKeys(masterKey(hash, response)).toPeer)).toBe("8B7CDC149B993A1BA118CB153F56DCCB");
  });

  it("puts the server's receiving key before its sending key and fills up to 64 octets", () => {
    const { toServer, toPeer } = startKeys(masterKey(hash, response));
    expect(hex(mschapMsk(hash, response))).toBe(`${hex(toServer)}${hex(toPeer)}${"00".repeat(32)}`);
    expect(hex(toServer)).not.toBe(hex(toPeer));
  });

  it("hashes what is beyond ASCII as UTF-16LE", () => {
    // printf '%s' … | iconv -t UTF-16LE | openssl dgst -provider legacy -md4
    expect(hex(ntHash(utf8("pässwörd€😀")))).toBe("343B5F56098BEF0DE4739D82D102F3CA");
  });
});
