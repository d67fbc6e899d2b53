import { renewalName } from "./renewal-info.js";

it("a certificate is called as RFC 9773 §4.1 has it", () => {
  const authorityKeyId = "69885b6b87464041e1b37b847ba0ae2cde01c8d4";
  expect(renewalName({ authorityKeyId, serial: "87654321" })).toBe("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
  expect(renewalName({ authorityKeyId, serial: "07654321" })).toBe("aYhba4dGQEHhs3uEe6CuLN4ByNQ.B2VDIQ");
  expect(renewalName({ authorityKeyId: undefined, serial: "01" })).toBeUndefined();
});
