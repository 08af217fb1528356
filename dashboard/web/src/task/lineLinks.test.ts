import { expect, test } from "vitest";
import { clicked, hashOf, rangeOf } from "./lineLinks";

test.each([
  ["#L120", { from: 120, to: 120 }],
  ["#L120-L140", { from: 120, to: 140 }],
  ["#L140-L120", { from: 120, to: 140 }],
])("%s names lines", (hash, range) => expect(rangeOf(hash)).toEqual(range));

test.each(["", "#log", "#L", "#L12x"])("%o names none", (hash) => expect(rangeOf(hash)).toBeNull());

test("a range survives the way there and back", () => {
  for (const hash of ["#L7", "#L7-L9"]) expect(hashOf(rangeOf(hash) ?? { from: 0, to: 0 })).toBe(hash);
});

test("shift takes everything between, in either direction", () => {
  expect(clicked({ from: 5, to: 5 }, 9, true)).toEqual({ from: 5, to: 9 });
  expect(clicked({ from: 5, to: 9 }, 2, true)).toEqual({ from: 2, to: 9 });
  expect(clicked({ from: 5, to: 9 }, 2, false)).toEqual({ from: 2, to: 2 });
  expect(clicked(null, 2, true)).toEqual({ from: 2, to: 2 });
});
