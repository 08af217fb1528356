import { describe, expect, test } from "vitest";
import { aTask } from "../builders";
import { translator } from "../i18n";
import { held } from "./held";
import { inParallel } from "./parallel";
import { MOST_IN_ADDRESS, NOTHING, selectionOf, selectionText, toggled, withSelection } from "./selection";
import { etaOf, placeOf, waitingText } from "./waiting";

const rows = ["a", "b", "c", "d", "e"].map((uid) => ({ uid }));
const uids = (selection: { uids: ReadonlySet<string> }) => [...selection.uids].sort();

describe("choosing rows", () => {
  test("a click chooses and leaves, shift takes everything between", () => {
    const one = toggled(NOTHING, "b", rows, false);
    expect(uids(toggled(one, "d", rows, true))).toEqual(["b", "c", "d"]);
    expect(uids(toggled(toggled(one, "d", rows, false), "a", rows, true))).toEqual(["a", "b", "c", "d"]);
    expect(uids(toggled(one, "b", rows, false))).toEqual([]);
  });

  test("shift without a row to begin at is a plain click", () => {
    expect(uids(toggled(NOTHING, "c", rows, true))).toEqual(["c"]);
  });
});

describe("a selection in the address", () => {
  const some = { uids: new Set(["a", "c"]), anchor: "c" };

  test("comes back as it was", () => {
    expect(selectionText(some, rows)).toBe("a,c");
    expect(uids(selectionOf("a,c", rows))).toEqual(["a", "c"]);
    expect(selectionOf("", rows)).toBe(NOTHING);
  });

  test("of all rows is one word when they are many, and means the rows that are there", () => {
    const many = Array.from({ length: MOST_IN_ADDRESS + 1 }, (_, index) => ({ uid: `uid-${index}` }));
    expect(selectionText({ uids: new Set(many.map((row) => row.uid)), anchor: null }, many)).toBe("all");
    expect(uids(selectionOf("all", rows))).toEqual(["a", "b", "c", "d", "e"]);
    expect(selectionText({ uids: new Set(rows.map((row) => row.uid)), anchor: null }, rows)).toBe(
      "a,b,c,d,e",
    );
  });

  test("that is too long is left out, never cut", () => {
    const many = Array.from({ length: MOST_IN_ADDRESS + 1 }, (_, index) => `uid-${index}`);
    expect(selectionText({ uids: new Set(many), anchor: null }, rows)).toBe("");
  });

  test("stands beside the filter and leaves it alone", () => {
    expect(withSelection("phase=Failed,Running&q=x", "a,c")).toBe("phase=Failed,Running&q=x&sel=a,c");
    expect(withSelection("phase=Failed&sel=a,c", "")).toBe("phase=Failed");
  });
});

test("rows under the pointer keep their places, new ones wait, gone ones go", () => {
  const now = ["new", "a", "c"].map((uid) => aTask({ uid }));
  const shown = new Map([
    ["c", 0],
    ["b", 1],
    ["a", 2],
  ]);
  expect(held(now, shown)).toMatchObject({ rows: [{ uid: "c" }, { uid: "a" }], waiting: 1 });
  expect(held(now, null).rows.length).toBe(3);
});

test("many things are done a few at a time, each once", async () => {
  const done: number[] = [];
  let most = 0;
  let running = 0;
  await inParallel(
    Array.from({ length: 20 }, (_, index) => index),
    async (item) => {
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      running -= 1;
      done.push(item);
    },
    3,
  );
  expect([done.length, new Set(done).size, most <= 3]).toEqual([20, 20, true]);
});

describe("a task that waits", () => {
  const waiting = (message: string) =>
    aTask({
      phase: "Queued",
      status: {
        conditions: [
          {
            type: "Admitted",
            status: "False",
            reason: "QueueFull",
            lastTransitionTime: "2026-01-01T00:00:00Z",
            message,
          },
        ],
      },
    });

  test.each([
    ["all 2 slots are in use", "2 个槽位均已占用"],
    ["the only slot is in use", "唯一的槽位已被占用"],
    ["namespace team uses its 3 of 3", "Namespace team 已用 3 个，上限 3 个"],
    ["at most 0.5 tasks are started a second", "每秒最多启动 0.5 个任务"],
    ["those before it are being started", "前面的任务正在启动"],
    ["something newer", "something newer"],
  ])("says in both languages that %s", (why, zh) => {
    const task = waiting(`Position 5 in the queue: ${why}.`);
    expect(waitingText(task, translator("en"))).toBe(`Position 5 in the queue: ${why}.`);
    expect(waitingText(task, translator("zh-CN"))).toBe(`排队第 5 位：${zh}。`);
  });

  test("passes on what is no position", () => {
    expect(waitingText(waiting("The quota refused the Job."), translator("zh-CN"))).toBe(
      "The quota refused the Job.",
    );
    expect(waitingText(aTask({ phase: "Running" }), translator("en"))).toBeNull();
  });

  test("begins after as many rounds of a usual task as stand before it", () => {
    const took = (seconds: number) =>
      aTask({
        phase: "Succeeded",
        status: {
          startTime: "2026-01-01T00:00:00Z",
          completionTime: new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)).toISOString(),
        },
      });
    const place = placeOf(waiting("Position 5 in the queue: all 2 slots are in use."));
    if (place === null) throw new Error("no place");
    expect(etaOf(place, [took(10), took(20), took(90)])).toBe(60_000);
    expect(etaOf(place, [took(10)])).toBeNull();
  });
});
