import { inPages } from "./pages.js";

const table = (count: number) => Array.from({ length: count }, (_, i) => ({ id: String(i).padStart(5, "0") }));

describe("rows that are read in pages", () => {
  it.each([0, 1, 999, 1_000, 1_001, 2_500])("are all there, each once, in order: %i", async (count) => {
    const rows = table(count);
    const sizes: number[] = [];
    const found = await inPages(async ({ after: { id }, page: { orderBy, take } }) => {
      expect(orderBy).toEqual({ id: "asc" });
      const some = rows.filter((row) => id === undefined || row.id > id.gt).slice(0, take);
      sizes.push(some.length);
      return some;
    });
    expect(found).toEqual(rows);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000);
    expect(sizes).toHaveLength(Math.floor(count / 1_000) + 1);
  });
});
