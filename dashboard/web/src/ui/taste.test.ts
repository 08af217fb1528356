import { expect, test } from "vitest";
import { PLAIN_TASTE, tasteOf } from "./taste";

test("taste is read back as it was written", () => {
  const taste = { time: "exact", density: "compact", dify: "1.13.2" } as const;
  expect(tasteOf(JSON.stringify(taste))).toEqual(taste);
});

test.each([null, "", "x", "null", "3", '{"time":"loud","density":3,"dify":{}}'])(
  "of %j in the storage nothing is taken",
  (stored) => {
    expect(tasteOf(stored)).toEqual(PLAIN_TASTE);
  },
);
