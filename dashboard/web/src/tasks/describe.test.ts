import { describe, expect, test } from "vitest";
import { aProgress, aTask } from "../builders";
import { pluginName, pluginVersion, sourceText, splitHint, stepOf } from "./describe";

describe("a task is called", () => {
  test("by its plugin, when the manifest was read", () => {
    const plugin = { author: "acme", name: "text-tools", version: "1.0.0" };
    expect(pluginName(aTask({ status: { plugin } }))).toBe("acme/text-tools");
    expect(pluginName(aTask({ progress: aProgress({ plugin }) }))).toBe("acme/text-tools");
    expect(pluginVersion(aTask({ status: { plugin } }))).toBe("1.0.0");
  });

  test.each([
    [{ type: "URL", url: { url: "https://x.org/a/My%20Plugin.difypkg?sig=1" } }, "My Plugin"],
    [{ type: "URL", url: { url: "https://x.org/%zz.difypkg" } }, "text-tools"],
    [{ type: "Upload", upload: { key: `${"0a".repeat(16)}-tools.difypkg` } }, "tools"],
    [{ type: "Marketplace", marketplace: { author: "a", name: "b", version: "1" } }, "a/b"],
    [{ type: "GitHub", github: { repo: "a/b", tag: "v1", asset: "x.difypkg" } }, "a/b"],
  ] as const)("before that by its source %o", (source, name) => {
    expect(pluginName(aTask({ spec: { source } }))).toBe(name);
  });
});

test("an upload's source is the file as it was called", () => {
  expect(sourceText({ type: "Upload", upload: { key: `${"0a".repeat(16)}-tools.difypkg` } })).toBe(
    "tools.difypkg",
  );
});

describe("the step", () => {
  test("is the live one of this attempt, else the copy in the task", () => {
    const status = { attempt: 2, progress: { step: "Pack", percent: 70 } } as const;
    const live = (attempt: number) => aProgress({ attempt, stage: "Verify", percent: 90 });
    expect(stepOf(aTask({ status, progress: live(2) }))).toEqual({ stage: "Verify", percent: 90 });
    expect(stepOf(aTask({ status, progress: live(1) }))).toEqual({ stage: "Pack", percent: 70 });
    expect(stepOf(aTask())).toBeNull();
  });
});

test("the operator's message is split from its hint", () => {
  expect(splitHint("It failed: a Hint: b. Hint: Do c.")).toEqual({
    message: "It failed: a Hint: b.",
    hint: "Do c.",
  });
  expect(splitHint("No more.")).toEqual({ message: "No more.", hint: null });
});
