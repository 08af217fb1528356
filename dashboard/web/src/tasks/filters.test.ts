import { describe, expect, test } from "vitest";
import { aTask } from "../builders";
import {
  countGroups,
  type Filter,
  fromSearch,
  hasGroup,
  matching,
  NO_FILTER,
  nextSort,
  toggleGroup,
  toSearch,
} from "./filters";

describe("filter and address", () => {
  test.each([
    "",
    "q=openai",
    "phase=Running,Failed",
    "platform=arm64",
    "q=a+b&phase=Succeeded&platform=universal",
    "q=%E6%8F%92%E4%BB%B6",
    "source=GitHub&dry=1&sort=-name",
  ])("%s survives the way there and back", (search) => {
    expect(toSearch(fromSearch(search))).toBe(search);
  });

  test("what nobody can filter by is left out", () => {
    expect(fromSearch("phase=Running,Dreaming&platform=sparc")).toMatchObject({
      phases: new Set(["Running"]),
      platform: null,
    });
  });

  test("other parts of the address are kept", () => {
    expect(toSearch({ ...NO_FILTER, q: "x" }, "plugin=y&q=old")).toBe("plugin=y&q=x");
  });
});

describe("groups of phases", () => {
  test("are switched on and off as a whole, several at once", () => {
    const failed = toggleGroup(NO_FILTER, "failed");
    const both = toggleGroup(failed, "active");
    expect(hasGroup(both, "failed") && hasGroup(both, "active")).toBe(true);
    expect(toggleGroup(toggleGroup(both, "active"), "failed").phases.size).toBe(0);
  });

  test("count every task once, dry runs not at all", () => {
    const tasks = [
      aTask({ phase: "Queued" }),
      aTask({ phase: "Suspended" }),
      aTask({ phase: "Failed" }),
      aTask({ phase: "Failed", spec: { dryRun: true } }),
    ];
    expect(countGroups(tasks)).toEqual({ active: 2, succeeded: 0, failed: 1, cancelled: 0 });
  });
});

describe("matching", () => {
  const named = (author: string, name: string, uid: string) =>
    aTask({ uid, name: `task-${uid}`, status: { plugin: { author, name } } });
  const tasks = [
    named("langgenius", "openai", "1"),
    named("acme", "open-data", "2"),
    named("acme", "email", "3"),
  ];
  const found = (filter: Partial<Filter>) =>
    matching(tasks, { ...NO_FILTER, ...filter }).map((task) => task.uid);

  test("takes parts of words, in any order, without regard to case", () => {
    expect(found({ q: "OPEN" })).toEqual(["1", "2"]);
    expect(found({ q: "data acme" })).toEqual(["2"]);
    expect(found({ q: "task-3" })).toEqual(["3"]);
  });

  test("looks at phase and platform", () => {
    expect(found({ phases: new Set(["Failed"]) })).toEqual([]);
    expect(found({ platform: "arm64" })).toEqual([]);
    expect(found({ platform: "amd64", phases: new Set(["Running"]) })).toEqual(["1", "2", "3"]);
  });

  test("a task that no operator has seen is pending", () => {
    const fresh = { ...aTask(), status: {} };
    expect(matching([fresh], { ...NO_FILTER, phases: new Set(["Pending"]) })).toEqual([fresh]);
  });

  test("blank words are no filter", () => {
    expect(found({ q: "  " })).toEqual(["1", "2", "3"]);
  });

  test("looks at the kind of source", () => {
    expect(found({ source: "Upload" })).toEqual([]);
    expect(found({ source: "URL" })).toEqual(["1", "2", "3"]);
  });

  test("shows dry runs only when they are asked for, and then nothing else", () => {
    const tasks = [aTask({ uid: "real" }), aTask({ uid: "dry", spec: { dryRun: true } })];
    const uids = (dryRuns: boolean) => matching(tasks, { ...NO_FILTER, dryRuns }).map((task) => task.uid);
    expect([uids(false), uids(true)]).toEqual([["real"], ["dry"]]);
  });

  test("orders by name or by age, either way", () => {
    const named = (uid: string) => aTask({ uid, status: { plugin: { author: "a", name: uid } } });
    const tasks = [named("b"), named("c"), named("a")];
    const order = (sort: Filter["sort"]) => matching(tasks, { ...NO_FILTER, sort }).map((task) => task.uid);
    expect(order("-created")).toEqual(["b", "c", "a"]);
    expect(order("created")).toEqual(["a", "c", "b"]);
    expect(order("name")).toEqual(["a", "b", "c"]);
    expect(order("-name")).toEqual(["c", "b", "a"]);
    expect(nextSort("name", "name")).toBe("-name");
    expect(nextSort("-created", "created")).toBe("created");
    expect(nextSort("created", "name")).toBe("name");
  });
});
