type Present<T> = { [K in keyof T]?: Exclude<T[K], null | undefined> };

/** A copy without what is null or undefined: GraphQL sends null for what Prisma wants left out. */
export function present<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== null && v !== undefined)) as Present<T>;
}
