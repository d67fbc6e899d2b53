import type { Type } from "@nestjs/common";
import { ArgsType, Field, Int, ObjectType } from "@nestjs/graphql";
import { apiFault } from "../faults.js";

const MAX_PAGE = 200;
const DEFAULT_PAGE = 50;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

@ObjectType({ description: "Where a page stands among the others." })
export class PageInfo {
  @Field({ description: "Whether another page follows." })
  hasNextPage!: boolean;

  @Field(() => String, {
    nullable: true,
    description: "Give it as `after` to get the next page; null on an empty page.",
  })
  endCursor!: string | null;
}

@ArgsType()
export class PageArgs {
  @Field(() => Int, { defaultValue: DEFAULT_PAGE, description: `How many at most, 1 to ${MAX_PAGE}.` })
  first: number = DEFAULT_PAGE;

  @Field(() => String, {
    nullable: true,
    description: "The `endCursor` of the page before; absent for the first page.",
  })
  after?: string | null;
}

export interface Edge<T> {
  readonly cursor: string;
  readonly node: T;
}

export interface Connection<T> {
  readonly edges: Edge<T>[];
  readonly pageInfo: PageInfo;
}

/** What the GraphQL type of a page of `node` extends. */
export function connectionType<T extends object>(node: Type<T>, name: string): Type<Connection<T>> {
  @ObjectType(`${name}Edge`, { description: `A ${name} in its place in the list.` })
  class EdgeType implements Edge<T> {
    @Field({ description: "Names this place." })
    cursor!: string;

    @Field(() => node, { description: `The ${name} itself.` })
    node!: T;
  }

  @ObjectType({ isAbstract: true })
  class ConnectionType implements Connection<T> {
    @Field(() => [EdgeType], { description: "The page's entries, in the list's order." })
    edges!: EdgeType[];

    @Field(() => PageInfo, { description: "Where this page stands." })
    pageInfo!: PageInfo;
  }
  return ConnectionType;
}

/** Multiplies the cost of an entry by how many are asked for. */
export const pageComplexity = ({
  args,
  childComplexity,
}: {
  args: Record<string, unknown>;
  childComplexity: number;
}): number => 1 + Math.min(Math.max(Number(args.first ?? DEFAULT_PAGE), 1), MAX_PAGE) * childComplexity;

/** The cost of a list that has no pages: a gateway's or a tunnel's own few. */
export const listComplexity =
  (typical: number) =>
  ({ childComplexity }: { childComplexity: number }): number =>
    1 + typical * childComplexity;

export interface PageRequest {
  /** Id of the last entry of the page before. */
  readonly after: string | undefined;
  readonly take: number;
}

/**
 * Reads one page of rows that are ordered by id. `read` gets one more than was asked for, to tell whether another page follows.
 * @throws api/bad-input for a size out of bounds or a cursor that none of our pages gave.
 */
export async function page<R extends { id: string }>(
  { first, after }: PageArgs,
  read: (request: PageRequest) => Promise<R[]>,
): Promise<Connection<R>> {
  if (first < 1 || first > MAX_PAGE) {
    throw apiFault("api/bad-input", "a page that is too large or empty", {
      field: "first",
      value: String(first),
      expected: `1 to ${MAX_PAGE}`,
    });
  }
  const cursor = after === undefined || after === null ? undefined : Buffer.from(after, "base64url").toString("latin1");
  if (cursor !== undefined && !UUID.test(cursor)) {
    throw apiFault("api/bad-input", "not a cursor", {
      field: "after",
      value: after ?? "",
      expected: "an endCursor of a page",
    });
  }
  const rows = await read({ after: cursor, take: first + 1 });
  const edges = rows.slice(0, first).map((node) => ({ cursor: Buffer.from(node.id).toString("base64url"), node }));
  return { edges, pageInfo: { hasNextPage: rows.length > first, endCursor: edges.at(-1)?.cursor ?? null } };
}

/** The part of a Prisma query that `page` wants. */
export function pageQuery<Direction extends "asc" | "desc">({ after, take }: PageRequest, direction: Direction) {
  const beyond = direction === "asc" ? "gt" : "lt";
  return { where: after === undefined ? {} : { id: { [beyond]: after } }, orderBy: { id: direction }, take };
}
