import { expect, test } from "@jest/globals";
import { buildSchema, parse } from "graphql";
import { withDefaults } from "./defaults.js";

const schema = buildSchema(`
  enum Color { RED GREEN }
  input Inner { n: Int! = 7, list: [Int!]! = [1, 2], color: Color! = GREEN, text: String }
  input Outer { inner: Inner!, more: [Inner!], flag: Boolean = true }
  type Query { f(outer: Outer, n: Int): Int }
`);
const filled = (variables: Record<string, unknown>) =>
  withDefaults(schema, parse("query ($outer: Outer, $n: Int) { f(outer: $outer, n: $n) }"), variables);
const inner = { n: 7, list: [1, 2], color: "GREEN" };

test("fills what is absent, however deep, and leaves what is given", () => {
  expect(filled({ outer: { inner: {} } })).toEqual({ outer: { inner, flag: true } });
  expect(filled({ outer: { inner: { n: 1, color: "RED", text: "x" }, more: [{}, { n: 2 }], flag: null } })).toEqual({
    outer: { inner: { ...inner, n: 1, color: "RED", text: "x" }, more: [inner, { ...inner, n: 2 }], flag: null },
  });
});

test("leaves what does not fit for the validation to refuse", () => {
  for (const outer of [null, 1, "x", [], { inner: 3 }, { unknown: {} }])
    expect(filled({ outer })).toMatchObject({ outer });
  expect(filled({ n: 3, other: 4 })).toEqual({ n: 3, other: 4 });
});

test("changes nothing of what it is given", () => {
  const variables = Object.freeze({ outer: Object.freeze({ inner: Object.freeze({}) }) });
  expect(filled(variables)).not.toBe(variables);
});
