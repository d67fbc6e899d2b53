import {
  type DocumentNode,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
} from "graphql";
import { fieldExtensionsEstimator, getComplexity, simpleEstimator } from "graphql-query-complexity";
import { apiFault } from "../faults.js";

export const MAX_DEPTH = 12;
/** One for each field that an answer may hold. A page of 100 tunnels with both ends and their SAs stays under it. */
const MAX_COMPLEXITY = 50_000;
/** Tokens of a document. */
export const MAX_TOKENS = 4_000;

/** Of one operation, with the fragments that stand beside it. */
function complexityOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Record<string, unknown>,
): number {
  const fragments = document.definitions.filter((d) => d.kind !== Kind.OPERATION_DEFINITION);
  return getComplexity({
    schema,
    query: { ...document, definitions: [operation, ...fragments] },
    variables,
    estimators: [fieldExtensionsEstimator(), simpleEstimator({ defaultComplexity: 1 })],
  });
}

function refuseAbove(complexity: number): void {
  if (complexity <= MAX_COMPLEXITY) return;
  throw apiFault("api/too-complex", `the query may answer with ${complexity} fields`, {
    field: "query",
    value: String(complexity),
    expected: `at most ${MAX_COMPLEXITY}: smaller pages or fewer fields`,
  });
}

/**
 * Judges a document by the most expensive of its operations, whichever is to run. Variables that do not fit an operation are an
 * error, unless another one was asked for by name.
 * @throws api/too-complex
 */
export function refuseComplex(
  schema: GraphQLSchema,
  document: DocumentNode,
  variables: Record<string, unknown>,
  operationName?: string,
): void {
  const operations = document.definitions.filter((d) => d.kind === Kind.OPERATION_DEFINITION);
  const costs = operations.map((operation) => {
    try {
      return complexityOf(schema, document, operation, variables);
    } catch (error) {
      if (operationName === undefined || operation.name?.value === operationName) throw error;
      return 0;
    }
  });
  refuseAbove(Math.max(0, ...costs));
}

/**
 * The same where an operation starts to run. Subscriptions are judged here: the hook before them is not told their variables.
 * @throws api/too-complex
 */
export function refuseComplexRun({ schema, operation, fragments, variableValues }: GraphQLResolveInfo): void {
  const document = { kind: Kind.DOCUMENT, definitions: [operation, ...Object.values(fragments)] } as const;
  refuseAbove(complexityOf(schema, document, operation, variableValues));
}

/**
 * For documents that were parsed without a limit.
 * @throws api/too-complex
 */
export function refuseLong({ loc }: DocumentNode): void {
  let tokens = 0;
  for (let token = loc?.startToken; token; token = token.next ?? undefined) tokens++;
  // The start and the end of the file are tokens too.
  if (tokens - 2 <= MAX_TOKENS) return;
  throw apiFault("api/too-complex", `the document has ${tokens - 2} tokens`, {
    field: "query",
    value: String(tokens - 2),
    expected: `at most ${MAX_TOKENS}`,
  });
}
