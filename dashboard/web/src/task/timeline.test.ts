import { describe, expect, test } from "vitest";
import { aProgress, aStage, aTask } from "../builders";
import { movingStage, quarterOf, timelineOf } from "./timeline";

const states = (task: Parameters<typeof timelineOf>[0]) =>
  timelineOf(task).stages.map((stage) => stage.state);

describe("the timeline", () => {
  test("has seven stages before anything was heard", () => {
    expect(states(aTask({ phase: "Queued" }))).toEqual(Array(7).fill("Pending"));
  });

  test("shows what the worker told", () => {
    const stages = [aStage("Fetch", { state: "Done" }), aStage("Plan", { state: "Running" })];
    expect(states(aTask({ progress: aProgress({ stages }) })).slice(0, 3)).toEqual([
      "Done",
      "Running",
      "Pending",
    ]);
  });

  test("without the worker's word follows the copy in the task", () => {
    const task = aTask({ status: { progress: { step: "Pack" } } });
    expect(states(task)).toEqual(["Done", "Done", "Done", "Skipped", "Running", "Pending", "Pending"]);
  });

  test("of a finished task without any progress says what must have happened", () => {
    expect(states(aTask({ phase: "Succeeded" }))).toEqual([
      "Done",
      "Done",
      "Done",
      "Skipped",
      "Done",
      "Done",
      "Done",
    ]);
    expect(states(aTask({ phase: "Succeeded", spec: { dryRun: true } })).slice(0, 3)).toEqual([
      "Done",
      "Done",
      "Skipped",
    ]);
  });

  test("nothing runs in a task that has ended", () => {
    const progress = aProgress({
      stages: [aStage("Download", { state: "Running", startedAt: "2026-11-23T06:00:00Z" })],
    });
    const status = { completionTime: "2026-11-23T06:00:30Z" };
    const failed = timelineOf(aTask({ phase: "Failed", progress, status })).stages[2];
    expect(failed).toMatchObject({ state: "Failed", finishedAt: "2026-11-23T06:00:30Z" });
  });

  test("a stage that the worker went past without a word was not needed", () => {
    const stages = [aStage("Download", { state: "Done" }), aStage("Pack", { state: "Running" })];
    expect(states(aTask({ progress: aProgress({ stages }) })).slice(2, 6)).toEqual([
      "Done",
      "Skipped",
      "Running",
      "Pending",
    ]);
  });

  test("a new attempt begins anew, and does not show the old one's stages", () => {
    const progress = aProgress({ attempt: 1, stages: [aStage("Fetch", { state: "Done" })] });
    expect(states(aTask({ phase: "Starting", status: { attempt: 2 }, progress }))[0]).toBe("Pending");
  });
});

describe("the moving stage", () => {
  test("is the running one that counts bytes", () => {
    const stages = [
      aStage("Fetch", { state: "Done", bytesDone: 9 }),
      aStage("Download", { state: "Running", bytesDone: 5 }),
    ];
    expect(movingStage(aTask({ progress: aProgress({ stages }) }))?.stage).toBe("Download");
    expect(movingStage(aTask({ phase: "Failed", progress: aProgress({ stages }) }))).toBeNull();
  });
});

test.each([
  ["Running", 10, 100, 0],
  ["Running", 25, 100, 25],
  ["Running", 99, 100, 75],
  ["Running", 100, 100, 75],
  ["Running", 50, null, 0],
  ["Done", 100, 100, 0],
] as const)(
  "of a stage that is %s with %s of %s bytes, the quarter %s is announced",
  (state, done, total, quarter) => {
    expect(quarterOf(aStage("Download", { state, bytesDone: done, bytesTotal: total }))).toBe(quarter);
  },
);
