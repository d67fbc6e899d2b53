import { readStates } from "./libreswan-listing.js";

/** As libreswan 4.10 prints and logs, shortened. */
const status = `000 #4: "a-net":500 STATE_V2_ESTABLISHED_IKE_SA (established IKE SA); REKEY in 28037s; REPLACE in 28798s; newest; idle;
000 #5: "a-net":500 STATE_V2_ESTABLISHED_CHILD_SA (established Child SA); REKEY in 27976s; newest; eroute owner; IKE SA #4; idle;
000 #5: "a-net" esp.1ed38443@192.0.2.2 esp.3fb0b3f@192.0.2.1 tun.0@192.0.2.2 tun.0@192.0.2.1 Traffic: ESPin=1KB ESPout=0B ESPmax=2^63B
000 #7: "b-net":4500 STATE_V2_ESTABLISHED_IKE_SA (established IKE SA); newest; idle;
000 #8: "b-net":4500 STATE_V2_ESTABLISHED_CHILD_SA (established Child SA); newest; eroute owner; IKE SA #7; idle;
000 #8: "b-net" esp:e3427458@2001:db8::1 esp:cdb82e3a@2001:db8::2 tun:0@2001:db8::1 tun:0@2001:db8::2 Traffic: ESPin=0B ESPout=0B
006 #5: "a-net", type=ESP, add_time=1795292990, inBytes=1680, outBytes=84, maxBytes=2^63B, id='@b.test'
`;
const log = `Nov 21 20:29:48: "a-net" #1: sent IKE_AUTH request {cipher=AES_GCM_16_256 integ=n/a prf=HMAC_SHA2_256 group=DH31}
Nov 21 20:29:50: "a-net" #1: initiator established IKE SA; authenticated peer using authby=secret and ID_FQDN '@b.test'
Nov 21 20:29:57: "a-net" #4: initiator rekeyed IKE SA #1 {cipher=AES_GCM_16_256 integ=n/a prf=HMAC_SHA2_256 group=DH31}
Nov 21 20:29:55: "a-net" #5: responder rekeyed Child SA #2 using #1; IPsec tunnel [10.2.0.0-10.2.0.255:0-65535 0] -> [10.1.0.0-10.1.0.255:0-65535 0] {ESP/ESN=>0x43fb0b3f <0x1ed38443 xfrm=AES_GCM_16_256-NONE-DH31 DPD=passive}
Nov 21 20:30:01: "b-net" #7: responder established IKE SA; authenticated peer '2048-bit PKCS#1 1.5 RSA with SHA2_256' digital signature using peer certificate '@c.test' issued by CA 'CN=Interop root'
`;

describe("what libreswan shows", () => {
  const [first, second] = readStates({ status, log }, (name) => name.replace("-net", ""));

  it("joins states, counters and the log", () => {
    expect(first).toMatchObject({
      name: "a",
      uniqueId: "4",
      state: "ESTABLISHED",
      initiator: true,
      remoteId: "@b.test",
    });
    expect(first?.suite).toBe("AES_GCM_16_256/HMAC_SHA2_256/DH31");
    expect(first?.children).toEqual([
      {
        name: "a-net",
        uniqueId: "5",
        state: "INSTALLED",
        spiIn: 0x3fb0b3f,
        spiOut: 0x1ed38443,
        suite: "AES_GCM_16_256-NONE-DH31",
        bytesIn: 1680,
        bytesOut: 84,
        localTs: ["10.2.0.0-10.2.0.255:0-65535 0"],
        remoteTs: ["10.1.0.0-10.1.0.255:0-65535 0"],
      },
    ]);
  });

  it("reads SPIs beside IPv6 addresses, and names of certificates", () => {
    expect(second).toMatchObject({ name: "b", remoteId: "@c.test", initiator: false });
    expect(second?.children).toMatchObject([{ spiIn: 0xcdb82e3a, spiOut: 0xe3427458 }]);
  });
});
