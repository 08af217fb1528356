import { expect, test } from "vitest";
import { aTask } from "../builders";
import { kubectlFor, manifestOf, toYaml } from "./yaml";

test("a manifest holds what the user asked for and nothing that the cluster added", () => {
  const yaml = manifestOf(aTask());
  expect(yaml).toContain(
    "apiVersion: dify-repack.io/v1alpha1\nkind: RepackageTask\nmetadata:\n  name: text-tools\n",
  );
  expect(yaml).toContain('    url:\n      url: "https://example.org/text-tools.difypkg"\n');
  expect(yaml).toContain("  targets:\n    - arch: amd64\n");
  expect(yaml).not.toMatch(/status|uid|labels|desiredState/);
});

test.each([
  ["3.12", '"3.12"'],
  ["true", '"true"'],
  ["no", '"no"'],
  ["", '""'],
  ["1e3", '"1e3"'],
  ["- x", '"- x"'],
  ["a: b", '"a: b"'],
  ["a\nb", '"a\\nb"'],
  ["#x", '"#x"'],
  ["plain-name_1.0", "plain-name_1.0"],
])("the text %j stays a text", (text, written) => {
  expect(toYaml({ value: text })).toBe(`value: ${written}\n`);
});

test("empty lists and objects, numbers and lists in lists", () => {
  expect(toYaml({ a: {}, b: [], c: 3, d: false, e: null, f: [{ g: 1, h: ["x"] }] })).toBe(
    "a: {}\nb: []\nc: 3\nd: false\nf:\n  - g: 1\n    h:\n      - x\n",
  );
});

test("commands name task and namespace", () => {
  const commands = kubectlFor(aTask({ status: { job: { name: "rpt-text-tools-1" } } }));
  expect(commands.cancel).toBe(
    `kubectl patch rpt text-tools -n default --type=merge -p '{"spec":{"desiredState":"Cancelled"}}'`,
  );
  expect(commands.logs).toBe("kubectl logs job/rpt-text-tools-1 -n default -f");
  expect(kubectlFor(aTask()).logs).toBeNull();
});
