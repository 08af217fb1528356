/** How the installation does: tasks that ended, how long they took and why they failed. Pure. */

import type { EndedTask, TaskView } from "../api/types";

const HOUR = 3_600_000;

export const SPANS = {
  day: { bucket: HOUR, buckets: 24 },
  week: { bucket: 6 * HOUR, buckets: 28 },
} as const;
export type Span = keyof typeof SPANS;

export interface Bucket {
  from: number;
  to: number;
  succeeded: number;
  failed: number;
}

export interface Throughput {
  buckets: Bucket[];
  succeeded: number;
  failed: number;
  /** Milliseconds from start to end of those that succeeded; null when there is none. */
  median: number | null;
  p90: number | null;
  /** Milliseconds from creation to the start of the work. */
  medianWait: number | null;
  /** The most frequent first. */
  reasons: { reason: string; n: number }[];
}

/** The tasks that ended: those that exist, and those that the server remembers although they were deleted. */
export function endedOf(tasks: readonly TaskView[], gone: readonly EndedTask[]): EndedTask[] {
  const here = tasks.flatMap((task): EndedTask[] => {
    const { phase, completionTime, startTime, reason } = task.status;
    if (task.spec.dryRun || !completionTime || (phase !== "Succeeded" && phase !== "Failed")) return [];
    const { uid, namespace, createdAt } = task;
    return [{ uid, namespace, phase, completionTime, startTime, reason, createdAt }];
  });
  const known = new Set(here.map((task) => task.uid));
  return [...here, ...gone.filter((task) => !known.has(task.uid))];
}

export function throughputOf(ended: readonly EndedTask[], span: Span, now: number): Throughput {
  const { bucket, buckets: count } = SPANS[span];
  // Whole buckets, so that a bar does not change its hour while one looks.
  const last = Math.ceil(now / bucket) * bucket;
  const buckets: Bucket[] = Array.from({ length: count }, (_, index) => {
    const from = last - (count - index) * bucket;
    return { from, to: from + bucket, succeeded: 0, failed: 0 };
  });
  const took: number[] = [];
  const waited: number[] = [];
  const reasons = new Map<string, number>();
  for (const { phase, completionTime, startTime, createdAt, reason } of ended) {
    const end = Date.parse(completionTime);
    const held = buckets[Math.floor((end - (buckets[0]?.from ?? 0)) / bucket)];
    if (!held) continue;
    if (phase === "Succeeded") {
      held.succeeded += 1;
      push(took, end - Date.parse(startTime ?? ""));
    } else {
      held.failed += 1;
      reasons.set(reason ?? "?", (reasons.get(reason ?? "?") ?? 0) + 1);
    }
    push(waited, Date.parse(startTime ?? "") - Date.parse(createdAt ?? ""));
  }
  return {
    buckets,
    succeeded: sum(buckets, "succeeded"),
    failed: sum(buckets, "failed"),
    median: quantile(took, 0.5),
    p90: quantile(took, 0.9),
    medianWait: quantile(waited, 0.5),
    reasons: [...reasons].map(([name, n]) => ({ reason: name, n })).sort((a, b) => b.n - a.n),
  };
}

function push(values: number[], value: number): void {
  if (Number.isFinite(value) && value >= 0) values.push(value);
}

function sum(buckets: readonly Bucket[], key: "succeeded" | "failed"): number {
  return buckets.reduce((total, bucket) => total + bucket[key], 0);
}

/** The value below which so large a part lies (nearest rank); null of nothing. */
export function quantile(values: readonly number[], part: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? null;
}

/** Round steps for an axis from 0 to at least `most`: at most four of them. */
export function ticks(most: number): number[] {
  const top = Math.max(1, most);
  const raw = top / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= raw) ?? raw);
  return Array.from({ length: Math.ceil(top / step) + 1 }, (_, index) => index * step);
}
