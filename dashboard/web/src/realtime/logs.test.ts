import { describe, expect, test } from "vitest";
import type { LogLine } from "../api/types";
import { EMPTY_LOG, search, withLines } from "./logs";

const line = (n: number, text = `line ${n}`): LogLine => ({
  n,
  ts: "2026-11-23T06:00:00Z",
  level: "info",
  text,
});
const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => line(from + index));
const numbers = (lines: readonly LogLine[]) => lines.map((each) => each.n);

describe("a log", () => {
  test("takes each line once, however often it is sent", () => {
    const log = withLines(withLines(EMPTY_LOG, range(1, 3)), range(2, 5));
    expect(numbers(log.lines)).toEqual([1, 2, 3, 4, 5]);
    expect(withLines(log, range(1, 5))).toBe(log);
  });

  test("knows that older lines exist, and puts them before the held ones", () => {
    const log = withLines(EMPTY_LOG, range(11, 12));
    expect(log.hasOlder).toBe(true);
    const whole = withLines(log, range(1, 10));
    expect(numbers(whole.lines)).toEqual(numbers(range(1, 12)));
    expect(whole.hasOlder).toBe(false);
  });

  test("asks for lines that are missing instead of hiding the hole", () => {
    const log = withLines(withLines(EMPTY_LOG, range(1, 3)), [line(6)]);
    expect(log.missingAfter).toBe(3);
    expect(numbers(log.lines)).toEqual([1, 2, 3]);
    const mended = withLines(log, range(4, 6));
    expect(mended.missingAfter).toBeNull();
    expect(numbers(mended.lines)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("keeps the newest lines when there are too many", () => {
    const log = withLines(EMPTY_LOG, range(1, 12), 10);
    expect(numbers(log.lines)).toEqual(numbers(range(3, 12)));
    expect(log.hasOlder).toBe(true);
  });

  test("of 100 000 lines is searched and added to in a moment", () => {
    const log = withLines(EMPTY_LOG, range(1, 100_000));
    const before = performance.now();
    withLines(log, [line(100_001)]);
    expect(search(log.lines, "line 99999")).toEqual([99_998]);
    expect(performance.now() - before).toBeLessThan(500);
  });
});

test("searching ignores case and finds nothing for no words", () => {
  const lines = [line(1, "Collecting NumPy"), line(2, "done"), line(3, "numpy installed")];
  expect(search(lines, "NUMPY")).toEqual([0, 2]);
  expect(search(lines, "  ")).toEqual([]);
});
