import { expect, test } from "vitest";
import { difyOf, fileRead, knowsOwnKeys, wantsOfficialSignature, wayOf } from "./dify";

test.each([
  ["1.13.2", { major: 1, minor: 13, patch: 2 }],
  ["v1.9", { major: 1, minor: 9, patch: 0 }],
  [" 1.14.0-rc1 ", { major: 1, minor: 14, patch: 0 }],
  ["1", null],
  ["latest", null],
  ["", null],
])("the version %j is read as %j", (text, dify) => {
  expect(difyOf(text)).toEqual(dify);
});

test.each([
  ["0.15.3", "none"],
  ["1.0.0", "pip"],
  ["1.0.1", "uvPip"],
  ["1.11.4", "uvPip"],
  ["1.12.0", "uvSync"],
  ["1.14.2", "uvSync"],
  ["1.15.0", "uvSyncOrMirror"],
  ["1.17.9", "uvSyncOrMirror"],
  ["1.18.0", "newer"],
  ["2.0.0", "newer"],
] as const)("Dify %s installs by %s", (text, way) => {
  expect(wayOf(difyOf(text) ?? { major: 0, minor: 0, patch: 0 })).toBe(way);
});

test("only a daemon that syncs reads the pyproject.toml, and only of a dual package", () => {
  expect(fileRead("uvSync", "Dual")).toBe("pyproject.toml");
  expect(fileRead("uvSync", "RequirementsOnly")).toBe("requirements.txt");
  expect(fileRead("uvPip", "Dual")).toBe("requirements.txt");
});

test("what a Dify asks of signatures depends on its age, and without a version on the strictest", () => {
  expect(wantsOfficialSignature(null)).toBe(true);
  expect(wantsOfficialSignature(difyOf("1.9.0"))).toBe(true);
  expect(wantsOfficialSignature(difyOf("1.12.0"))).toBe(false);
  expect(knowsOwnKeys(difyOf("1.1.0"))).toBe(false);
  expect(knowsOwnKeys(difyOf("1.12.0"))).toBe(true);
});
