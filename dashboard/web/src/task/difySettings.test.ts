import { expect, test } from "vitest";
import { anArtifact } from "../builders";
import { asEnvFile, settingsFor } from "./difySettings";

const MB = 1_000_000;
const named = (sizeBytes: number, author: string | null = "acme", wheels = 10) =>
  Object.fromEntries(
    settingsFor(anArtifact({ sizeBytes, wheels }), author).map(({ name, value }) => [name, value]),
  );

test("a small package needs the signature check off and nothing else", () => {
  expect(named(5 * MB)).toEqual({ FORCE_VERIFYING_SIGNATURE: "false" });
});

test("langgenius' own plugins need their second check off as well", () => {
  expect(named(5 * MB, "langgenius")).toHaveProperty("ENFORCE_LANGGENIUS_PLUGIN_SIGNATURES", "false");
  expect(named(5 * MB, null)).not.toHaveProperty("ENFORCE_LANGGENIUS_PLUGIN_SIGNATURES");
});

test("limits are above the package, in whole steps of 50 MB", () => {
  expect(named(77.9 * MB)).toMatchObject({
    PLUGIN_MAX_PACKAGE_SIZE: String(100 * 1024 * 1024),
    NGINX_CLIENT_MAX_BODY_SIZE: "100M",
  });
  expect(named(612 * MB)).toMatchObject({
    PLUGIN_MAX_PACKAGE_SIZE: String(750 * 1024 * 1024),
    NGINX_CLIENT_MAX_BODY_SIZE: "750M",
  });
});

test("a package near Dify's default limit asks for a larger one, because it is counted unpacked", () => {
  expect(named(48 * MB)).toHaveProperty("PLUGIN_MAX_PACKAGE_SIZE");
  expect(named(30 * MB)).not.toHaveProperty("PLUGIN_MAX_PACKAGE_SIZE");
});

test("many wheels ask for more time", () => {
  expect(named(20 * MB, "acme", 80)).toHaveProperty("PYTHON_ENV_INIT_TIMEOUT", "600");
});

test("all settings are copied as lines of .env", () => {
  expect(asEnvFile(settingsFor(anArtifact({ sizeBytes: 20 * MB }), "acme"))).toBe(
    "FORCE_VERIFYING_SIGNATURE=false\nNGINX_CLIENT_MAX_BODY_SIZE=50M",
  );
});

test("a signed package needs its key to be known, and no check to be switched off", () => {
  const settings = settingsFor(anArtifact(), "langgenius", true);
  expect(settings.map(({ name, value }) => `${name}=${value}`)).toEqual([
    "FORCE_VERIFYING_SIGNATURE=true",
    "THIRD_PARTY_SIGNATURE_VERIFICATION_ENABLED=true",
    "THIRD_PARTY_SIGNATURE_VERIFICATION_PUBLIC_KEYS=/app/storage/public_keys/dify-repack.pem",
  ]);
});
