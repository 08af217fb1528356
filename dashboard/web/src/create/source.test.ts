import { describe, expect, test } from "vitest";
import golden from "../../../../tests/source_texts.json";
import { asUrl, understand } from "./source";

const url = (address: string) => ({ type: "URL", url: { url: address } });
const market = (author: string, name: string, version: string) => ({
  type: "Marketplace",
  marketplace: { author, name, version },
});
const release = (repo: string, tag: string, asset: string) => ({
  type: "GitHub",
  github: { repo, tag, asset },
});

describe("what the command line and the page both understand (tests/source_texts.json)", () => {
  test.each(golden.sources)("$text", ({ text, source }) => {
    expect(understand(text)).toEqual({ kind: "source", source, label: expect.any(String) });
  });
  test.each(golden.local)("%s is a path", (text) => expect(understand(text).kind).toBe("local"));
  test.each(golden.unclear)("%s is unclear", (text) => expect(understand(text).kind).toBe("unclear"));
});

describe("what people paste", () => {
  test.each([
    ["https://example.org/a.difypkg", url("https://example.org/a.difypkg")],
    ["  https://example.org/a.difypkg  ", url("https://example.org/a.difypkg")],
    ["<https://example.org/a.difypkg>", url("https://example.org/a.difypkg")],
    ["“https://example.org/a.difypkg”。", url("https://example.org/a.difypkg")],
    ["https://example.org/get?id=7", url("https://example.org/get?id=7")],
    ["http://10.0.0.5:8081/repo/a.difypkg", url("http://10.0.0.5:8081/repo/a.difypkg")],
    ["files.example.org/a.difypkg", url("https://files.example.org/a.difypkg")],
    ["langgenius/openai@0.2.7", market("langgenius", "openai", "0.2.7")],
    ["langgenius/openai:0.2.7", market("langgenius", "openai", "0.2.7")],
    [`langgenius/openai:0.2.7@${"a".repeat(64)}`, market("langgenius", "openai", "0.2.7")],
    ["https://marketplace.dify.ai/plugins/langgenius/openai/0.2.7", market("langgenius", "openai", "0.2.7")],
    [
      "https://marketplace.dify.ai/plugin/langgenius/openai?version=0.2.7",
      market("langgenius", "openai", "0.2.7"),
    ],
    ["marketplace.dify.ai/plugins/langgenius/openai/0.2.7", market("langgenius", "openai", "0.2.7")],
    [
      "https://marketplace.dify.ai/api/v1/plugins/langgenius/openai/0.2.7/download",
      market("langgenius", "openai", "0.2.7"),
    ],
    [
      "https://github.com/junjiem/dify-plugin-tools/releases/download/v0.1.0/tools.difypkg",
      release("junjiem/dify-plugin-tools", "v0.1.0", "tools.difypkg"),
    ],
    [
      "https://github.com/a/b/releases/download/release/2026/x.difypkg",
      release("a/b", "release/2026", "x.difypkg"),
    ],
    ["https://github.com/a/b/raw/main/x.difypkg", url("https://github.com/a/b/raw/main/x.difypkg")],
    [
      "https://github.com/a/b/releases/download/v1/x.zip",
      url("https://github.com/a/b/releases/download/v1/x.zip"),
    ],
  ])("%s is a source", (text, source) => {
    expect(understand(text)).toMatchObject({ kind: "source", source });
  });

  test.each([
    "C:\\Users\\me\\a.difypkg",
    "/home/me/a.difypkg",
    "./a.difypkg",
    "~/a.difypkg",
    "file:///tmp/a.difypkg",
  ])("%s is a path of this computer", (text) => expect(understand(text).kind).toBe("local"));

  test.each([
    ["https://me:secret@example.org/a.difypkg", "credentials"],
    ["ftp://example.org/a.difypkg", "notHttp"],
    ["javascript:alert(1)", "notHttp"],
    ["two words", "spaces"],
    ["openai", "unknown"],
    ["https://", "notHttp"],
    ["插件", "unknown"],
  ])("%s is unclear: %s", (text, why) => {
    expect(understand(text)).toEqual({ kind: "unclear", why });
  });

  test("nothing is nothing", () => {
    expect(understand("   ")).toEqual({ kind: "empty" });
  });
});

test("an asset of a release has an address of its own", () => {
  const understood = understand("https://github.com/a/b/releases/download/release/1/x.difypkg");
  if (understood.kind !== "source") throw new Error(understood.kind);
  expect(asUrl(understood.source)).toEqual(
    url("https://github.com/a/b/releases/download/release/1/x.difypkg"),
  );
  expect(asUrl({ type: "Upload", upload: { key: "k" } })).toBeNull();
});
