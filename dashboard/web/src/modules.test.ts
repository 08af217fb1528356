import { expect, test } from "vitest";

const files = import.meta.glob<string>("./**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true });
const isTest = (path: string) =>
  /\.test\.tsx?$|\/(testing|testing\.setup|builders|fakeServer|driven)\.tsx?$/.test(path);
/** Where browsers and other programs begin. */
const BEGINNINGS = new Set(["./main.tsx", "./realtime/client.ts"]);
const GENERATED = new Set(["./api/schema.gen.ts"]);

/** `./task/../ui/Icon` as `./ui/Icon`. */
function resolved(from: string, name: string): string {
  const parts = [...from.split("/").slice(0, -1), ...name.split("/")].filter((part) => part !== ".");
  const path: string[] = [];
  for (const part of parts) {
    if (part === "..") path.pop();
    else path.push(part);
  }
  return `./${path.join("/")}`;
}

test("every module is used by another one: no component is dead", () => {
  const used = new Set<string>();
  for (const [path, text] of Object.entries(files)) {
    if (isTest(path)) continue;
    for (const match of text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)) {
      used.add(resolved(path, match[1] ?? ""));
    }
  }
  const dead = Object.keys(files).filter((path) => {
    const name = path.replace(/\.tsx?$/, "").replace(/\/index$/, "");
    return !isTest(path) && !BEGINNINGS.has(path) && !used.has(name);
  });
  expect(dead).toEqual([]);
});

test("components are small enough to be read in one go", () => {
  const long = Object.entries(files)
    .filter(([path]) => path.endsWith(".tsx") && !isTest(path) && !GENERATED.has(path))
    .map(([path, text]) => [path, text.split("\n").length] as const)
    .filter(([, lines]) => lines > 220);
  expect(long).toEqual([]);
});
