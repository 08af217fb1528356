// @vitest-environment happy-dom
import { act, fireEvent, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { LogLine } from "../api/types";
import { aTask } from "../builders";
import { type Shown, settle, show } from "../testing";
import { LogViewer } from "./LogViewer";

let shown: Shown;
let kept: LogLine[];

const line = (n: number, text = `line ${n}`): LogLine => ({
  n,
  ts: "2026-11-23T06:00:00Z",
  level: "info",
  text,
});
const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => line(from + index));
const texts = () =>
  [...screen.getByRole("log").querySelectorAll("[data-index]")].map((element) => element.textContent);
const push = (lines: LogLine[], attempt = 1) =>
  act(async () => shown.server.last.say({ type: "task.log", task_id: "uid-1", data: { attempt, lines } }));

/** Answers as the server does: the last lines, or those after a number. */
async function answer(input: string): Promise<Response> {
  const query = new URL(input, "http://host").searchParams;
  const [limit, after] = [Number(query.get("limit")), query.get("after")];
  const items =
    after === null ? kept.slice(-limit) : kept.filter((each) => each.n > Number(after)).slice(0, limit);
  const attempt = Number(query.get("attempt"));
  return new Response(JSON.stringify({ attempt, attempts: [1], items, last: kept.length, complete: false }));
}

beforeEach(() => {
  kept = [];
  vi.stubGlobal("fetch", vi.fn(answer));
  // A box without a height would show no line of a virtual list.
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(400);
  vi.spyOn(HTMLElement.prototype, "offsetHeight", "get").mockReturnValue(20);
});

afterEach(() => {
  shown.end();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe("the log", () => {
  test("says that it begins with the worker", async () => {
    shown = await show(<LogViewer task={aTask({ phase: "Queued", status: { attempt: 0 } })} />);
    expect(screen.getByText("No line yet. The log begins when the worker starts.")).toBeDefined();
  });

  test("shows the kept lines, then the live ones, each once", async () => {
    kept = range(1, 3);
    shown = await show(<LogViewer task={aTask()} />);
    await shown.load([]);
    await settle();
    await push([line(3), line(4, "fresh")]);
    expect(texts()).toEqual(["1line 1", "2line 2", "3line 3", "4fresh"]);
    expect(shown.server.last.taken()).toMatchObject([{ type: "subscribe", channel: "task:uid-1" }]);
  });

  test("drops lines of an attempt that is not shown", async () => {
    kept = range(1, 2);
    shown = await show(<LogViewer task={aTask()} />);
    await shown.load([]);
    await settle();
    await push([line(3, "of another attempt")], 2);
    expect(texts().length).toBe(2);
  });

  test("fetches all that was missed, page after page", async () => {
    kept = range(1, 2);
    shown = await show(<LogViewer task={aTask()} />);
    await shown.load([]);
    await settle();
    kept = range(1, 2_503);
    await push([line(2_503)]);
    await settle();
    await settle();
    const asked = vi
      .mocked(fetch)
      .mock.calls.map(([input]) => String(input))
      .filter((url) => url.includes("after"));
    expect(asked.map((url) => new URL(url, "http://host").searchParams.get("after"))).toEqual([
      "2",
      "1002",
      "2002",
    ]);
  });

  test("is searched, with a true count and steps round the end", async () => {
    kept = [line(1, "Collecting NumPy"), line(2), line(3, "numpy is there")];
    shown = await show(<LogViewer task={aTask()} />);
    fireEvent.change(screen.getByRole("searchbox"), { target: { value: "numpy" } });
    expect(screen.getByText("1 of 2")).toBeDefined();
    expect(document.querySelectorAll("mark").length).toBe(2);
    await act(async () => screen.getByRole("button", { name: "Previous match" }).click());
    expect(screen.getByText("2 of 2")).toBeDefined();
    fireEvent.change(screen.getByRole("searchbox"), { target: { value: "scipy" } });
    expect(screen.getByText("No match")).toBeDefined();
  });

  test("puts no markup of a line into the page", async () => {
    kept = [line(1, "<img src=x onerror=alert(1)>")];
    shown = await show(<LogViewer task={aTask()} />);
    expect(document.querySelector("img")).toBeNull();
    expect(texts()).toEqual(["1<img src=x onerror=alert(1)>"]);
  });

  test("counts what came while it is paused, and goes on when asked", async () => {
    kept = range(1, 3);
    shown = await show(<LogViewer task={aTask()} />);
    await shown.load([]);
    await settle();
    await act(async () => screen.getByLabelText("Follow").click());
    await push([line(4), line(5)]);
    expect(screen.getByText("Paused · 2 new lines")).toBeDefined();
    await act(async () => screen.getByRole("button", { name: "Jump to latest" }).click());
    expect(screen.queryByText(/Paused/)).toBeNull();
  });
});
