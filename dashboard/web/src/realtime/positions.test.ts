import { describe, expect, test } from "vitest";
import { accept, type Position, since, subscribed } from "./positions";

const at = (seq: number, repairing = false): Position => ({ epoch: "e1", seq, repairing });
const frame = (seq: number, coalesced?: number) => ({ epoch: "e1", seq, coalesced });

describe("a numbered frame", () => {
  test("that follows is applied and moves the position", () => {
    expect(accept(at(4), frame(5), false)).toEqual([at(5), "apply"]);
  });

  test.each([4, 3, 1])("number %d was seen and is dropped", (seq) => {
    expect(accept(at(4), frame(seq), false)).toEqual([at(4), "drop"]);
  });

  test("after a hole asks for the missing part and keeps the position before the hole", () => {
    expect(accept(at(4), frame(7), false)).toEqual([at(4, true), "gap"]);
  });

  test("may jump over those that were left out for it", () => {
    expect(accept(at(4), frame(7, 2), false)).toEqual([at(7), "apply"]);
    expect(accept(at(4), frame(8, 2), false)).toEqual([at(4, true), "gap"]);
  });

  test("only grows for somebody who may not see everything", () => {
    expect(accept(at(4), frame(9), true)).toEqual([at(9), "apply"]);
  });

  test("of another epoch, or before any snapshot, is applied without a position", () => {
    expect(accept(at(4), { epoch: "e2", seq: 1 }, false)).toEqual([at(4), "apply"]);
    expect(accept(null, frame(9), false)).toEqual([null, "apply"]);
  });
});

describe("the answer to subscribe", () => {
  test("recovered: the missing part follows from the old position on", () => {
    const answered = subscribed(at(4, true), { epoch: "e1", recovered: true });
    expect(answered).toEqual(at(4));
    expect(accept(answered, frame(5), false)).toEqual([at(5), "apply"]);
  });

  test("not recovered: a snapshot follows, so the position is gone", () => {
    expect(subscribed(at(4, true), { epoch: "e1", recovered: false })).toBeNull();
    expect(subscribed(at(4, true), { epoch: "e2", recovered: true })).toBeNull();
  });
});

test("resuming names epoch and number, or nothing", () => {
  expect(since(at(4))).toEqual({ since: 4, epoch: "e1" });
  expect(since(null)).toEqual({});
});
