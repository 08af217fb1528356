import { expect, test } from "vitest";
import { aTask } from "../builders";
import { endedSince } from "./Ended";
import { iconWith } from "./Title";

test("what ended since is told once; what was over, what is new and dry runs are not", () => {
  const before = new Map([
    ["a", "Running"],
    ["b", "Succeeded"],
    ["d", "Running"],
  ] as const);
  const tasks = [
    aTask({ uid: "a", phase: "Failed" }),
    aTask({ uid: "b", phase: "Succeeded" }),
    aTask({ uid: "c", phase: "Succeeded" }),
    aTask({ uid: "d", phase: "Succeeded", spec: { dryRun: true } }),
  ];
  expect(endedSince(before, tasks).map((task) => task.uid)).toEqual(["a"]);
});

test("the tab's icon carries the number", () => {
  expect(decodeURIComponent(iconWith(7))).toContain(">7</text>");
  expect(decodeURIComponent(iconWith(128))).toContain(">99+</text>");
});
