/** Rows that are read at a time: what Prisma makes of them it makes in one turn of the event loop. */
const PAGE = 1_000;

/** A part of a query's arguments. */
export interface RowsPage {
  /** Beside the query's own conditions. */
  readonly after: { readonly id?: { readonly gt: string } };
  readonly page: { readonly orderBy: { readonly id: "asc" }; readonly take: number };
}

/** Every row of a query that may have very many, by id. */
export async function inPages<T extends { readonly id: string }>(read: (part: RowsPage) => Promise<T[]>): Promise<T[]> {
  const rows: T[] = [];
  for (;;) {
    const last = rows.at(-1);
    const part = await read({
      after: last ? { id: { gt: last.id } } : {},
      page: { orderBy: { id: "asc" }, take: PAGE },
    });
    for (const row of part) rows.push(row);
    if (part.length < PAGE) return rows;
  }
}
