import { expect, test } from "vitest";
import { aTask } from "../builders";
import { endedOf, quantile, throughputOf, ticks } from "./throughput";

const NOW = Date.UTC(2026, 10, 26, 12, 30);
const iso = (minutesAgo: number) => new Date(NOW - minutesAgo * 60_000).toISOString();
let made = 0;
const ended = (minutesAgo: number, phase: "Succeeded" | "Failed", minutes = 2, reason?: string) =>
  aTask({
    uid: `uid-${++made}`,
    phase,
    createdAt: iso(minutesAgo + minutes + 1),
    status: {
      startTime: iso(minutesAgo + minutes),
      completionTime: iso(minutesAgo),
      ...(reason ? { reason } : {}),
    },
  });

test("what ended is counted in its hour, and nothing else", () => {
  const tasks = endedOf(
    [
      ended(5, "Succeeded"),
      ended(40, "Succeeded", 4),
      ended(61, "Failed", 2, "DiskFull"),
      ended(60 * 30, "Succeeded"),
      aTask({ phase: "Running" }),
      aTask({ phase: "Succeeded", spec: { dryRun: true }, status: { completionTime: iso(5) } }),
    ],
    [],
  );
  const day = throughputOf(tasks, "day", NOW);
  expect(day).toMatchObject({ succeeded: 2, failed: 1, median: 120_000, p90: 240_000, medianWait: 60_000 });
  expect(day.buckets.length).toBe(24);
  expect(day.buckets.at(-1)).toMatchObject({ succeeded: 1, failed: 0 });
  expect(day.buckets.at(-2)).toMatchObject({ succeeded: 1, failed: 1 });
  expect(day.reasons).toEqual([{ reason: "DiskFull", n: 1 }]);
  expect(throughputOf(tasks, "week", NOW).succeeded).toBe(3);
});

test("a task that was deleted counts on, and one that is both here and remembered counts once", () => {
  const here = ended(5, "Succeeded");
  const remembered = (uid: string) => ({
    uid,
    namespace: "default",
    phase: "Failed" as const,
    reason: "DiskFull",
    completionTime: iso(10),
  });
  const all = endedOf([here], [remembered(here.uid), remembered("gone")]);
  expect(throughputOf(all, "day", NOW)).toMatchObject({
    succeeded: 1,
    failed: 1,
    reasons: [{ reason: "DiskFull", n: 1 }],
  });
});

test("nothing gives no figure, and no division by nothing", () => {
  expect(throughputOf([], "day", NOW)).toMatchObject({ succeeded: 0, median: null, p90: null, reasons: [] });
  expect(quantile([], 0.5)).toBeNull();
  expect(quantile([3, 1, 2], 0.5)).toBe(2);
});

test.each([
  [0, [0, 1]],
  [3, [0, 1, 2, 3]],
  [9, [0, 5, 10]],
  [37, [0, 10, 20, 30, 40]],
  [1200, [0, 500, 1000, 1500]],
])("an axis up to %d has round marks", (most, marks) => expect(ticks(most)).toEqual(marks));
