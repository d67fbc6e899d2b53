import { WorkBudget } from "./work-budget.js";

it("gives an IKE SA its share of a window, whatever others took, and the next window anew", () => {
  const budget = new WorkBudget();
  expect(budget.allows(0, 1)).toBe(true);
  for (let n = 0; n < 49; n++) budget.spent(1, 1);
  expect(budget.allows(1, 1)).toBe(true);
  budget.spent(1, 1);
  expect(budget.allows(2, 1)).toBe(false);
  expect(budget.allows(2, 2)).toBe(true);
  expect(budget.allows(2, undefined)).toBe(true);
  expect(budget.allows(100, 1)).toBe(true);
});

it("does not blame anybody for a pause of the whole process", () => {
  const budget = new WorkBudget();
  budget.spent(1, 80);
  expect(budget.allows(80, 1)).toBe(true);
});

it("takes all strangers for one", () => {
  const budget = new WorkBudget();
  for (let n = 0; n < 90; n++) {
    expect(budget.allows(n, undefined)).toBe(true);
    budget.spent(undefined, 1);
  }
  expect(budget.allows(91, undefined)).toBe(false);
  expect(budget.allows(91, 5)).toBe(true);
  expect(budget.allows(100, undefined)).toBe(true);
});
