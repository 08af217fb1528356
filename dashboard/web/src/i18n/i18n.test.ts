import { describe, expect, test } from "vitest";
import { en } from "./en";
import { ago, bytes, duration, shortMoment } from "./format";
import { fill, formFor, isKey, preferredLanguage, translator } from "./index";
import { zhCN } from "./zh-CN";

const placeholders = (text: string) =>
  [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]))].sort();

describe("the catalogues", () => {
  test("have the same keys", () => {
    expect(Object.keys(zhCN).sort()).toEqual(Object.keys(en).sort());
  });

  test("agree on the placeholders of every text", () => {
    for (const key of Object.keys(en) as (keyof typeof en)[]) {
      expect(placeholders(zhCN[key]), key).toEqual(placeholders(en[key]));
    }
  });

  test("hold no word that nothing shows", () => {
    const sources = import.meta.glob("../**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true });
    const code = Object.entries(sources)
      .filter(([path]) => !/\.test\.|i18n\/(en|zh-CN)\.ts|\/(en|zh-CN)\.ts/.test(path))
      .map(([, text]) => text)
      .join("");
    // Keys that are put together: `stage.${stage}` names everything that begins so.
    const families = [...code.matchAll(/[`"]([a-z][\w.]*\.)\$\{/gi)].map((match) => match[1] ?? "");
    const shown = (key: string) =>
      code.includes(`"${key}"`) || families.some((family) => key.startsWith(family));
    expect(Object.keys(en).filter((key) => !shown(key))).toEqual([]);
  });

  test("boast and beg not", () => {
    for (const [key, text] of Object.entries(en)) {
      expect(text, key).not.toMatch(/successfully|please|!/i);
      expect(text, key).toBe(text.trim());
    }
  });

  test("have a hint for each reason", () => {
    const names = (prefix: string) =>
      Object.keys(en)
        .filter((key) => key.startsWith(prefix))
        .map((key) => key.slice(prefix.length));
    expect(names("hint.").sort()).toEqual(
      names("reason.")
        .filter((name) => name !== "other")
        .sort(),
    );
  });
});

test("words are filled in, and what is unknown stays to be seen", () => {
  expect(translator("en")("log.matches", { at: 3, n: 17 })).toBe("3 of 17");
  expect(fill("{a} {b}", { a: 1 })).toBe("1 {b}");
  expect(isKey("reason.Internal")).toBe(true);
  expect(isKey("reason.toString")).toBe(false);
});

test("one thing is named as one, many as many", () => {
  expect(formFor("{n} file|{n} files", 1)).toBe("{n} file");
  expect(formFor("{n} file|{n} files", "1,000")).toBe("{n} files");
  expect(formFor("{n} file|{n} files", 0)).toBe("{n} files");
  expect(formFor("{n} 个文件", 1)).toBe("{n} 个文件");
});

test.each([
  ["zh-CN", ["en-US"], "zh-CN"],
  [null, ["zh-TW", "en"], "zh-CN"],
  [null, ["de-DE", "zh"], "zh-CN"],
  [null, ["de-DE"], "en"],
  ["klingon", ["en-GB"], "en"],
] as const)("stored %s and browser %s make %s", (stored, browser, language) => {
  expect(preferredLanguage(stored, browser)).toBe(language);
});

describe("figures", () => {
  test.each([
    [0, "0 B"],
    [999, "999 B"],
    [1_500, "1.5 kB"],
    [48_100_000, "48.1 MB"],
    [1_612_000_000, "1,612.0 MB"],
  ])("%d bytes are %s", (value, text) => expect(bytes(value, "en")).toBe(text));

  test.each([
    [-5, "0.0 s"],
    [30, "< 0.1 s"],
    [420, "0.4 s"],
    [37_400, "37 s"],
    [125_000, "2 min 05 s"],
    [3_725_000, "1 h 02 min"],
  ])("%d ms last %s", (value, text) => expect(duration(value, "en")).toBe(text));

  test("moments are as short as they are clear", () => {
    const now = Date.parse("2026-11-26T14:02:11");
    expect(shortMoment(Date.parse("2026-11-26T09:05:00"), now, "en")).toBe("09:05:00");
    expect(shortMoment(Date.parse("2026-11-24T09:05:00"), now, "en")).toBe("11/24, 09:05");
    expect(shortMoment(Date.parse("2025-11-24T09:05:00"), now, "zh-CN")).toBe("2025/11/24 09:05");
  });

  test("times gone by", () => {
    expect(ago(0, 3_000, "en")).toBe("just now");
    expect(ago(0, 180_000, "en")).toBe("3 min ago");
    expect(ago(0, 7_300_000, "zh-CN")).toBe("2 小时前");
    expect(ago(5_000, 0, "en")).toBe("just now");
  });
});
