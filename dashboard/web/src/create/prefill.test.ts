import { describe, expect, test } from "vitest";
import { isDeepLink, prefillOf, textOf } from "./prefill";
import { understand } from "./source";

describe("an address that fills the form in", () => {
  test.each([
    ["plugin=https://x.org/a.difypkg", "https://x.org/a.difypkg"],
    ["url=https://x.org/a.difypkg", "https://x.org/a.difypkg"],
    ["author=a&name=b&version=1.2.3", "a/b@1.2.3"],
    ["source=marketplace&author=a&name=b", "a/b"],
    ["author=a", ""],
    ["", ""],
  ])("%s", (search, link) => expect(prefillOf(search).link).toBe(link));

  test("knows our targets and what the original application called them", () => {
    expect(prefillOf("platform=arm64,linux/amd64").targets).toEqual(["arm64", "amd64"]);
    expect(prefillOf("platform=manylinux2014_x86_64").targets).toEqual(["amd64"]);
    expect(prefillOf("platform=win_amd64").targets).toEqual([]);
  });

  test("names the task that it is a copy of", () => {
    expect(prefillOf("from=team/demo").from).toEqual({ namespace: "team", name: "demo" });
    expect(prefillOf("from=demo").from).toBeNull();
  });

  test("a filter of the list is no deep link", () => {
    expect(isDeepLink("q=openai&phase=Failed&source=URL")).toBe(false);
    expect(isDeepLink("author=a&name=b")).toBe(true);
  });
});

test.each(["a/b@1.2.3", "a/b", "github:a/b@v1#c.difypkg", "github:a/b", "https://x.org/a.difypkg"])(
  "%s survives the way into a task and back",
  (text) => {
    const understood = understand(text);
    if (understood.kind !== "source") throw new Error(`${text} was not understood`);
    expect(textOf(understood.source)).toBe(text);
  },
);
