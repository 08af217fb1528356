import { expect, test } from "vitest";
import { spansOf } from "./ansi";

const ESC = "\u001b";

test("plain text is one piece without a class", () => {
  expect(spansOf("a < b & c")).toEqual([{ text: "a < b & c", className: "" }]);
});

test("colours become classes, and end", () => {
  expect(spansOf(`${ESC}[32mgot${ESC}[0m it ${ESC}[1;31mno${ESC}[39;22m.`)).toEqual([
    { text: "got", className: "ansi-green" },
    { text: " it ", className: "" },
    { text: "no", className: "ansi-bold ansi-red" },
    { text: ".", className: "" },
  ]);
});

test("bright and many-coloured codes do no harm", () => {
  expect(spansOf(`${ESC}[94mx${ESC}[38;5;31my`)).toEqual([
    { text: "x", className: "ansi-blue" },
    { text: "y", className: "ansi-blue" },
  ]);
});

test("movements, titles and control characters are left out", () => {
  expect(
    spansOf(`a${ESC}[2K${ESC}[1Gb${ESC}]0;title\u0007c\u0008\rd\te`)
      .map((span) => span.text)
      .join(""),
  ).toBe("abcd\te");
});

test("markup stays text", () => {
  expect(spansOf("<img src=x onerror=alert(1)>")).toEqual([
    { text: "<img src=x onerror=alert(1)>", className: "" },
  ]);
});
