import {
  type DocumentNode,
  type GraphQLInputType,
  type GraphQLSchema,
  getNullableType,
  isInputObjectType,
  isLeafType,
  isListType,
  Kind,
  typeFromAST,
} from "graphql";

/** A default as a client would have sent it: enums by name, lists and objects part by part. */
function asSent(type: GraphQLInputType, value: unknown): unknown {
  const inner = getNullableType(type);
  if (value === null || value === undefined) return value;
  if (isLeafType(inner)) return inner.serialize(value);
  if (isListType(inner)) return (Array.isArray(value) ? value : [value]).map((item) => asSent(inner.ofType, item));
  return value;
}

function filled(type: GraphQLInputType, value: unknown): unknown {
  const inner = getNullableType(type);
  if (isListType(inner)) return Array.isArray(value) ? value.map((item) => filled(inner.ofType, item)) : value;
  if (!isInputObjectType(inner) || typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const given = value as Record<string, unknown>;
  const copy: Record<string, unknown> = { ...given };
  for (const field of Object.values(inner.getFields())) {
    if (given[field.name] !== undefined) copy[field.name] = filled(field.type, given[field.name]);
    else if (field.defaultValue !== undefined) copy[field.name] = asSent(field.type, field.defaultValue);
  }
  return copy;
}

/**
 * The variables with the defaults of input objects' fields filled in. GraphQL.js does that by itself; graphql-jit 1 does not where
 * such a field is non-null, and refuses it as missing.
 */
export function withDefaults(
  schema: GraphQLSchema,
  document: DocumentNode,
  variables: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const copy: Record<string, unknown> = { ...variables };
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    for (const { variable, type: node } of definition.variableDefinitions ?? []) {
      const name = variable.name.value;
      const type = typeFromAST(schema, node) as GraphQLInputType | undefined;
      if (type && copy[name] !== undefined) copy[name] = filled(type, copy[name]);
    }
  }
  return copy;
}
