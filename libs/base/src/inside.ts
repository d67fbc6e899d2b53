import { type IpAddress, Prefix } from "./address.js";

/**
 * Places on this machine and its own link, which are nobody's server; they are what somebody would name to reach inside. The last of
 * each family is where clouds tell a machine its secrets.
 */
const INSIDE = [
  ...["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "100.100.100.200/32"],
  ...["::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8", "fd00:ec2::/32"],
].map((text) => Prefix.parse(text));

/** Networks that are not the internet (RFC 1918, RFC 6598, RFC 4193), and addresses that may stand for any of them (RFC 6052, RFC 3056). */
const PRIVATE = [
  ...["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"],
  ...["fc00::/7", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"],
].map((text) => Prefix.parse(text));

/** Whether it is an address of a machine itself, of its link, or of no single machine. */
export const isInside = (address: IpAddress): boolean => INSIDE.some((prefix) => prefix.contains(address));

/** Whether it is reached from within some network only. */
export const isPrivate = (address: IpAddress): boolean => PRIVATE.some((prefix) => prefix.contains(address));
