import { describe, expect, test } from "vitest";
import type { ClientConfig } from "../api/types";
import { faultsOf, fieldOf, firstDraft, refusal, toNewTask } from "./draft";

const config: ClientConfig = {
  version: "0.1.0",
  instance: "i",
  authMode: "none",
  namespace: "default",
  namespaces: ["default"],
  sources: ["URL", "Upload"],
  targets: ["amd64"],
  modes: ["RequirementsOnly"],
  marketplace: true,
  limits: { maxUploadBytes: 1_000 },
  defaults: { targets: ["amd64"], python: "3.12", mode: "RequirementsOnly", suffix: "offline" },
};
const draft = firstDraft(config);
const source = { type: "Upload", upload: { key: "k" } } as const;

describe("the form", () => {
  test("begins with what the server gives, and sends it", () => {
    expect(faultsOf(draft).size).toBe(0);
    expect(toNewTask(draft, source, config)).toEqual({
      spec: {
        source,
        targets: [{ arch: "amd64" }],
        python: "3.12",
        mode: "RequirementsOnly",
        output: { suffix: "offline" },
      },
    });
  });

  test("sends mirror and name only when they are given", () => {
    const task = toNewTask({ ...draft, mirror: "https://m/simple", name: "mine" }, source, config);
    expect(task).toMatchObject({ name: "mine", spec: { packageIndex: { url: "https://m/simple" } } });
  });

  test.each([
    [{ targets: [] }, "targets"],
    [{ python: "2.7" }, "python"],
    [{ python: "3.12.1" }, "python"],
    [{ mirror: "mirror/simple" }, "mirror"],
    [{ name: "Upper" }, "name"],
    [{ name: "a".repeat(53) }, "name"],
    [{ name: "-a" }, "name"],
  ])("%o is a fault of %s", (changed, field) => {
    expect([...faultsOf({ ...draft, ...changed })]).toEqual([field]);
  });
});

test.each([
  ["spec.source.url.url", "source"],
  ["spec.targets[0].arch", "targets"],
  ["spec.packageIndex.url", "mirror"],
  ["spec.python", "python"],
  ["name", "name"],
  ["metadata.name", "name"],
  ["spec.retry.limit", null],
  [null, null],
])("the server's field %s is the form's %s", (path, field) => {
  expect(fieldOf(path)).toBe(field);
});

test.each([
  ["plugin.difypkg", 10, null],
  ["PLUGIN.DIFYPKG", 10, null],
  ["plugin.tar.gz", 10, "type"],
  ["plugin.difypkg", 0, "empty"],
  ["plugin.difypkg", 1_001, "size"],
] as const)("a file %s of %d bytes is refused for %s", (name, size, why) => {
  expect(refusal({ name, size }, 1_000)).toBe(why);
});
