import { GraphQLScalarType, Kind } from "graphql";
import { apiFault } from "../faults.js";

const CANONICAL = /^(0|[1-9]\d*)$/;

function refuse(value: unknown): never {
  throw apiFault("api/bad-input", "not a counter", { value: String(value), expected: "a decimal number as text" });
}

/** Octets and packets outgrow 2^53, so they travel as text. */
export const CounterScalar = new GraphQLScalarType<bigint, string>({
  name: "Counter",
  description: "A number of octets or packets: a decimal number as text, since it may not fit a JSON number.",
  serialize: (value) => String(value),
  parseValue: (value) => (typeof value === "string" && CANONICAL.test(value) ? BigInt(value) : refuse(value)),
  parseLiteral: (node) =>
    (node.kind === Kind.STRING || node.kind === Kind.INT) && CANONICAL.test(node.value)
      ? BigInt(node.value)
      : refuse(node.kind),
});

/** Values whose shape depends on what they tell of. Output only. */
export const JsonScalar = new GraphQLScalarType<unknown, unknown>({
  name: "JSON",
  description: "A JSON value whose shape depends on what it tells of.",
  serialize: (value) => value,
  parseValue: refuse,
  parseLiteral: refuse,
});
