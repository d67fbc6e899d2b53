/** Where the answer to a challenge for a name stands; that of a wildcard stands where its domain's does (RFC 8555 §8.4). */
export const recordName = (name: string) => `_acme-challenge.${name.replace(/^\*\./, "")}`;
