import { beforeEach, describe, expect, test, vi } from "vitest";
import type { TaskView } from "../api/types";
import { aProgress, aTask } from "../builders";
import type { ServerMessage } from "./messages";
import { TaskStore } from "./store";

let frames: (() => void)[];
let store: TaskStore;

const flush = () => {
  for (const frame of frames.splice(0)) frame();
};
const envelope = (task: TaskView, seq: number) => ({
  v: 1 as const,
  task_id: task.uid,
  namespace: task.namespace,
  name: task.name,
  seq,
  gseq: seq,
  epoch: "e1",
  ts: "",
});
const status = (task: TaskView, seq = 1): ServerMessage => ({
  ...envelope(task, seq),
  type: "task.status",
  data: task,
});
const snapshot = (tasks: TaskView[], parts: object = {}): ServerMessage => ({
  v: 1,
  type: "snapshot",
  gseq: 1,
  epoch: "e1",
  part: 1,
  parts: 1,
  data: tasks.map((task) => ({
    task_id: task.uid,
    namespace: task.namespace,
    name: task.name,
    seq: 5,
    data: task,
  })),
  ...parts,
});

beforeEach(() => {
  frames = [];
  store = new TaskStore((frame) => frames.push(frame));
});

describe("the store", () => {
  test("is not loaded until a snapshot came, even an empty one", () => {
    expect(store.getTasks()).toEqual({ tasks: [], loaded: false });
    store.apply(snapshot([]));
    flush();
    expect(store.getTasks()).toEqual({ tasks: [], loaded: true });
  });

  test("makes one rendering of a thousand messages", () => {
    const listener = vi.fn();
    store.subscribe(listener);
    for (let n = 0; n < 1_000; n += 1) store.apply(status(aTask({ uid: `u${n}` })));
    expect(frames.length).toBe(1);
    flush();
    expect(listener).toHaveBeenCalledTimes(1);
    expect(store.getTasks().tasks.length).toBe(1_000);
  });

  test("shows the newest first", () => {
    const tasks = ["2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z"];
    store.apply(snapshot(tasks.map((createdAt, n) => aTask({ uid: `u${n}`, createdAt }))));
    flush();
    expect(store.getTasks().tasks.map((task) => task.uid)).toEqual(["u1", "u2", "u0"]);
  });

  test("keeps the identity of a task that did not change, so that its row does not render", () => {
    store.apply(snapshot([aTask({ uid: "a" }), aTask({ uid: "b" })]));
    flush();
    const before = store.get("b");
    store.apply(status(aTask({ uid: "a", phase: "Succeeded" }), 6));
    flush();
    expect(store.get("b")).toBe(before);
    expect(store.get("a")?.status.phase).toBe("Succeeded");
  });

  test("does not go back to an older state that comes late", () => {
    store.apply(status(aTask({ phase: "Succeeded" }), 9));
    store.apply(status(aTask({ phase: "Running" }), 8));
    expect(store.get("uid-1")?.status.phase).toBe("Succeeded");
  });

  test("drops an older tick of the worker, and takes a new attempt's first", () => {
    const task = aTask();
    store.apply(status(task));
    const progress = (attempt: number, tick: number, seq: number): ServerMessage => ({
      ...envelope(task, seq),
      type: "task.progress",
      data: aProgress({ attempt, tick, percent: tick }),
    });
    store.apply(progress(1, 7, 2));
    store.apply(progress(1, 6, 3));
    expect(store.get("uid-1")?.progress?.tick).toBe(7);
    store.apply(progress(2, 1, 4));
    expect(store.get("uid-1")?.progress).toMatchObject({ attempt: 2, tick: 1 });
  });

  test("keeps the live progress when a status comes without any", () => {
    store.apply(status(aTask({ progress: aProgress({ tick: 3 }) }), 1));
    store.apply(status(aTask({ phase: "Succeeded" }), 2));
    expect(store.get("uid-1")).toMatchObject({ status: { phase: "Succeeded" }, progress: { tick: 3 } });
  });

  test("replaces everything by a snapshot, when its last part is there", () => {
    store.apply(snapshot([aTask({ uid: "old" })]));
    store.apply(snapshot([aTask({ uid: "a" })], { part: 1, parts: 2 }));
    expect(store.get("old")).toBeDefined();
    store.apply(snapshot([aTask({ uid: "b" })], { part: 2, parts: 2 }));
    flush();
    expect(store.getTasks().tasks.map((task) => task.uid)).toEqual(["a", "b"]);
  });

  test("removes what was deleted", () => {
    const task = aTask();
    store.apply(snapshot([task]));
    store.apply({ ...envelope(task, 6), type: "task.deleted" });
    flush();
    expect(store.getTasks().tasks).toEqual([]);
  });

  test("finds a task by its name, the newer one when it was made again", () => {
    store.apply(snapshot([aTask({ uid: "a" }), aTask({ uid: "b", createdAt: "2027-01-01T00:00:00Z" })]));
    flush();
    expect(store.find("default", "text-tools")?.uid).toBe("b");
    expect(store.find("default", "nothing")).toBeUndefined();
  });

  test("takes a REST answer unless something newer was heard", () => {
    store.apply(status(aTask({ phase: "Succeeded", status: { sequence: 9 } }), 9));
    store.offer(aTask({ phase: "Running", status: { sequence: 4 } }));
    expect(store.get("uid-1")?.status.phase).toBe("Succeeded");
    store.offer(aTask({ uid: "new" }));
    expect(store.get("new")).toBeDefined();
  });

  test("knows the operator's health from hello and from its changes", () => {
    const stale = { state: "Stale" as const };
    store.apply({ v: 1, type: "operator.health", data: stale });
    expect(store.getHealth()).toBe(stale);
  });
});
