import { type DocumentNode, type GraphQLSchema, getOperationAST } from "graphql";
import { fieldExtensionsEstimator, getComplexity, simpleEstimator } from "graphql-query-complexity";
import { apiFault } from "../faults.js";

export const MAX_DEPTH = 12;
/** One for each field that an answer may hold. A page of 100 tunnels with both ends and their SAs stays under it. */
export const MAX_COMPLEXITY = 50_000;
/** Tokens of a document. */
export const MAX_TOKENS = 4_000;

/** @throws api/too-complex */
export function refuseComplex(
  schema: GraphQLSchema,
  query: DocumentNode,
  variables: Record<string, unknown> | undefined,
  operationName?: string,
): void {
  if (!getOperationAST(query, operationName)) return; // Execution says what is wrong with it.
  const complexity = getComplexity({
    schema,
    query,
    ...(variables === undefined ? {} : { variables }),
    ...(operationName === undefined ? {} : { operationName }),
    estimators: [fieldExtensionsEstimator(), simpleEstimator({ defaultComplexity: 1 })],
  });
  if (complexity <= MAX_COMPLEXITY) return;
  throw apiFault("api/too-complex", `the query may answer with ${complexity} fields`, {
    field: "query",
    value: String(complexity),
    expected: `at most ${MAX_COMPLEXITY}: smaller pages or fewer fields`,
  });
}
