import { expect, test } from "vitest";
import { translator } from "../i18n";
import { read } from "./read";

const t = translator("en");
const now = (text: string) => read(text, ["URL", "Upload"], t);

test("what the workers of this installation do not fetch is recognised and said honestly", () => {
  expect(now("langgenius/openai@0.2.7")).toMatchObject({
    source: null,
    says: expect.stringMatching(/does not fetch/),
  });
  expect(now("https://github.com/a/b")).toMatchObject({
    source: null,
    says: expect.stringMatching(/a\/b.*does not fetch/),
  });
});

test("an asset of a GitHub release is fetched from its address", () => {
  const link = "https://github.com/a/b/releases/download/v1/x.difypkg";
  expect(now(link)).toEqual({ source: { type: "URL", url: { url: link } }, says: t("create.link.url") });
});

test("what is offered is taken as what it is", () => {
  const reading = read("langgenius/openai@0.2.7", ["URL", "Marketplace"], t);
  expect(reading).toMatchObject({
    source: { type: "Marketplace" },
    says: "Plugin of the Marketplace: langgenius/openai@0.2.7",
  });
  expect(read("langgenius/openai", ["Marketplace"], t)).toMatchObject({
    source: { marketplace: { author: "langgenius", name: "openai" } },
    says: "Plugin of the Marketplace: langgenius/openai",
  });
});

test("nothing says nothing, a local path asks for an upload", () => {
  expect(now("")).toEqual({ source: null, says: null });
  expect(now("C:\\x.difypkg").says).toMatch(/Upload the file/);
});
