import { processorsOf } from "./uml-parts.js";

it.each([
  ["0", [0]],
  ["0-1", [0, 1]],
  ["0-2,5", [0, 1, 2, 5]],
  ["3,8-9", [3, 8, 9]],
])("reads the processors %s of a process", (list, processors) => {
  expect(processorsOf(list)).toEqual(processors);
});
