import { IpAddress } from "./address.js";
import { isInside, isPrivate } from "./inside.js";

describe("addresses that are not the internet's", () => {
  it.each([
    ...["127.0.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255", "100.100.100.200"],
    ...["::", "::1", "::ffff:127.0.0.1", "fe80::1", "ff02::1", "fd00:ec2::254"],
  ])("%s is a machine's own, its link's or nobody's", (text) => expect(isInside(IpAddress.parse(text))).toBe(true));

  it.each([
    ...["10.1.2.3", "172.31.255.255", "192.168.0.1", "100.64.0.1"],
    ...["fc00::1", "fdff::1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:7f00:1::1"],
  ])("%s is of a private network, or may stand for one", (text) => expect(isPrivate(IpAddress.parse(text))).toBe(true));

  it.each(["192.0.2.1", "172.32.0.1", "11.0.0.1", "2001:db8::1", "100.128.0.1"])("%s is neither", (text) => {
    const address = IpAddress.parse(text);
    expect([isInside(address), isPrivate(address)]).toEqual([false, false]);
  });
});
