import { describe, expect, test } from "vitest";
import { aTask } from "../builders";
import { translator } from "../i18n";
import { entriesOf, linesOf, sourcesOf } from "./batch";

const t = translator("en");
const entries = (text: string, tasks = [aTask()]) => entriesOf(text, ["Marketplace", "URL"], tasks, t);

test.each([
  ["a/b@1\n\n  c/d@2  \r\n", ["a/b@1", "c/d@2"]],
  ["- a/b@1\n2. c/d@2\n• e/f", ["a/b@1", "c/d@2", "e/f"]],
  ["a/b@1, c/d@2；e/f", ["a/b@1", "c/d@2", "e/f"]],
  ["https://x.org/a.difypkg https://x.org/b.difypkg", ["https://x.org/a.difypkg", "https://x.org/b.difypkg"]],
  ["# for the lab\na/b@1", ["a/b@1"]],
  ["", []],
])("%o is read as lines", (text, lines) => expect(linesOf(text)).toEqual(lines));

describe("of many lines", () => {
  test("the same plugin written two ways is named once", () => {
    const found = entries("a/b@1.0.0\nhttps://marketplace.dify.ai/plugins/a/b/1.0.0");
    expect(found.map((entry) => entry.duplicate)).toEqual([false, true]);
    expect(sourcesOf(found).length).toBe(1);
  });

  test("what cannot be used says why and is left out", () => {
    const [entry] = entries("ftp://x/y");
    expect(entry).toMatchObject({ source: null, says: "Only http and https addresses can be fetched." });
  });

  test("what a task has made before is named, unless it failed or only planned", () => {
    const source = { type: "Marketplace", marketplace: { author: "a", name: "b", version: "1" } } as const;
    const made = (parts: Parameters<typeof aTask>[0]) =>
      entries("a/b@1", [aTask({ spec: { source }, ...parts })])[0]?.made;
    expect(made({ name: "done", phase: "Succeeded" })).toEqual({ namespace: "default", name: "done" });
    expect(made({ phase: "Failed" })).toBeNull();
    expect(made({ spec: { source, dryRun: true } })).toBeNull();
  });
});
