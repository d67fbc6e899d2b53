import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { GraphQLSchemaHost } from "@nestjs/graphql";
import {
  buildSchema,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isObjectType,
  lexicographicSortSchema,
  printSchema,
} from "graphql";
import { startControlPlane, type TestControlPlane } from "./control-plane.js";

const FILE = path.resolve("apps/control-plane/schema.graphql");

let cp: TestControlPlane;
let schema: GraphQLSchema;

beforeAll(async () => {
  cp = await startControlPlane();
  schema = lexicographicSortSchema(cp.application.nest.get(GraphQLSchemaHost).schema);
});
afterAll(() => cp?.close());

test("schema.graphql is current (SALLYPORT_WRITE_SCHEMA=1 writes it)", async () => {
  const printed = printSchema(schema);
  const head = "# Written from the code: SALLYPORT_WRITE_SCHEMA=1 jest --selectProjects db --testPathPatterns schema";
  if (process.env.SALLYPORT_WRITE_SCHEMA === "1") await writeFile(FILE, `${head}\n\n${printed}\n`);
  // Whatever a formatter made of the text.
  const committed = buildSchema(await readFile(FILE, "utf8"));
  expect(printSchema(lexicographicSortSchema(committed))).toBe(printed);
});

test("every type, field, argument and enum value says what it is", () => {
  const silent: string[] = [];
  const check = (name: string, description: string | null | undefined) => description || silent.push(name);
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith("__") || ["Query", "Mutation", "Subscription"].includes(type.name)) continue;
    check(type.name, type.description);
  }
  for (const type of Object.values(schema.getTypeMap()).filter((t) => !t.name.startsWith("__"))) {
    if (isEnumType(type)) for (const value of type.getValues()) check(`${type.name}.${value.name}`, value.description);
    if (isInputObjectType(type)) {
      for (const field of Object.values(type.getFields())) check(`${type.name}.${field.name}`, field.description);
    }
    if (!isObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      check(`${type.name}.${field.name}`, field.description);
      for (const arg of field.args) check(`${type.name}.${field.name}(${arg.name})`, arg.description);
    }
  }
  expect(silent).toEqual([]);
});
