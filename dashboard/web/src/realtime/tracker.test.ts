import { describe, expect, test } from "vitest";
import type { ServerMessage } from "./messages";
import { type Numbered, Tracker } from "./tracker";

const hello = (parts: object = {}) =>
  ({ type: "hello", epoch: "e1", recovered: false, ...parts }) as ServerMessage & { type: "hello" };
const event = (uid: string, seq: number, gseq: number) =>
  ({ type: "task.progress", task_id: uid, seq, gseq, epoch: "e1" }) as Numbered;
const taskSnapshot = (uid: string, seq: number) =>
  ({ type: "snapshot", task_id: uid, seq, gseq: 9, epoch: "e1", data: {} }) as ServerMessage & {
    type: "snapshot";
  };

describe("a socket of one task", () => {
  test("counts by the task's own number", () => {
    const tracker = new Tracker("task:a", new Map());
    tracker.welcomed(hello());
    tracker.stand(taskSnapshot("a", 4));
    expect(tracker.judge(event("a", 5, 90), 0)).toEqual({ isNews: true, ask: null });
    expect(tracker.judge(event("a", 7, 95), 0)).toEqual({ isNews: false, ask: "task:a" });
    expect(tracker.since("task:a")).toEqual({ since: 5, epoch: "e1" });
  });

  test("keeps the numbers of another task that it joined apart", () => {
    const tracker = new Tracker("task:a", new Map([["task:b", 1]]));
    tracker.welcomed(hello());
    tracker.stand(taskSnapshot("a", 40));
    tracker.stand(taskSnapshot("b", 2));
    expect(tracker.judge(event("b", 3, 91), 0)).toEqual({ isNews: true, ask: null });
    expect(tracker.judge(event("a", 41, 92), 0)).toEqual({ isNews: true, ask: null });
    expect(tracker.since("task:b")).toEqual({ since: 3, epoch: "e1" });
  });
});

describe("a socket of all tasks", () => {
  const all = (gseq: number) =>
    ({ type: "snapshot", task_id: null, gseq, epoch: "e1", data: [] }) as unknown as ServerMessage & {
      type: "snapshot";
    };

  test("counts by the number over all, and moves a joined task's own along", () => {
    const tracker = new Tracker("tasks", new Map([["task:a", 1]]));
    tracker.welcomed(hello());
    tracker.stand(all(10));
    tracker.stand(taskSnapshot("a", 4));
    expect(tracker.judge(event("a", 5, 11), 0).isNews).toBe(true);
    expect(tracker.judge(event("a", 5, 11), 0).isNews).toBe(false);
    expect(tracker.since("tasks")).toEqual({ since: 11, epoch: "e1" });
    expect(tracker.since("task:a")).toEqual({ since: 5, epoch: "e1" });
  });

  test("that does not hear everything takes jumps for what is hidden from it", () => {
    const tracker = new Tracker("tasks", new Map());
    tracker.welcomed(hello({ filtered: true }));
    tracker.stand(all(10));
    expect(tracker.judge(event("a", 5, 50), 0)).toEqual({ isNews: true, ask: null });
  });
});

test("only what was told before can be void", () => {
  const tracker = new Tracker("tasks", new Map());
  expect(tracker.welcomed(hello())).toBe(true);
  expect(tracker.welcomed(hello({ recovered: true }))).toBe(true);
  expect(tracker.welcomed(hello({ epoch: "e2" }))).toBe(false);
});

test("a channel that was left and joined again starts anew", () => {
  const tracker = new Tracker("tasks", new Map([["task:a", 1]]));
  tracker.answered({ channel: "task:a", epoch: "e1", recovered: false });
  tracker.stand(taskSnapshot("a", 4));
  tracker.forget("task:a");
  expect(tracker.since("task:a")).toEqual({});
  expect(tracker.answered({ channel: "task:a", epoch: "e1", recovered: false })).toBe(true);
});
