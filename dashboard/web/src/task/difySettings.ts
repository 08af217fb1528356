/**
 * The settings that a Dify installation needs to take this artifact, computed from the artifact itself. Pure.
 *
 * Dify has three gates of size (nginx, API, plugin daemon) and the daemon counts the *unpacked* package as well, so the
 * advised limit leaves room above the file's own size. Names and defaults: repackaging.md 3, 4.
 */

import type { Artifact, TaskView } from "../api/types";
import { type Dify, knowsOwnKeys, wantsOfficialSignature } from "./dify";

const MB = 1024 * 1024;
/** Dify's own default of PLUGIN_MAX_PACKAGE_SIZE. */
export const DIFY_PACKAGE_LIMIT = 50 * MB;
/** nginx's limit in older compose files of Dify; newer ones allow 100 MB. */
const DIFY_NGINX_LIMIT = 15 * MB;
/** Wheels are stored, not compressed, so a package hardly grows when it is unpacked. */
const UNPACKED_FACTOR = 1.25;
const STEP = 50 * MB;
const MANY_WHEELS = 60;

export type Why = "signed" | "noOwnKeys" | "size" | "upload" | "unsigned" | "langgenius" | "slowInit";

export interface Setting {
  name: string;
  value: string;
  why: Why;
}

function roundedUp(bytes: number): number {
  return Math.ceil(bytes / STEP) * STEP;
}

/** Where the public key is expected on the daemon's volume (docs/packages.md, "Signatures"). */
const PUBLIC_KEY = "/app/storage/public_keys/dify-repack.pem";

/** What makes Dify take the signature, or the lack of one. Without its version: what suits every one. */
function signatureSettings(author: string | null, signed: boolean, dify: Dify | null): Setting[] {
  if (signed && knowsOwnKeys(dify)) {
    return [
      { name: "FORCE_VERIFYING_SIGNATURE", value: "true", why: "signed" },
      { name: "THIRD_PARTY_SIGNATURE_VERIFICATION_ENABLED", value: "true", why: "signed" },
      { name: "THIRD_PARTY_SIGNATURE_VERIFICATION_PUBLIC_KEYS", value: PUBLIC_KEY, why: "signed" },
    ];
  }
  const why = signed ? "noOwnKeys" : "unsigned";
  const unsigned: Setting = { name: "FORCE_VERIFYING_SIGNATURE", value: "false", why };
  if (author !== "langgenius" || !wantsOfficialSignature(dify)) return [unsigned];
  return [unsigned, { name: "ENFORCE_LANGGENIUS_PLUGIN_SIGNATURES", value: "false", why: "langgenius" }];
}

/** Settings for `.env` of Dify, the needed ones only. `signed`: with a key of one's own; `dify`: null where not known. */
export function settingsFor(
  artifact: Artifact,
  author: string | null,
  signed = false,
  dify: Dify | null = null,
): Setting[] {
  const size = artifact.sizeBytes ?? 0;
  const settings = signatureSettings(author, signed, dify);
  const needed = roundedUp(size * UNPACKED_FACTOR);
  if (needed > DIFY_PACKAGE_LIMIT) {
    settings.push({ name: "PLUGIN_MAX_PACKAGE_SIZE", value: String(needed), why: "size" });
  }
  if (size > DIFY_NGINX_LIMIT) {
    settings.push({ name: "NGINX_CLIENT_MAX_BODY_SIZE", value: `${roundedUp(needed) / MB}M`, why: "upload" });
  }
  if ((artifact.wheels ?? 0) >= MANY_WHEELS || size > 2 * DIFY_PACKAGE_LIMIT) {
    settings.push({ name: "PYTHON_ENV_INIT_TIMEOUT", value: "600", why: "slowInit" });
  }
  return settings;
}

export function asEnvFile(settings: readonly Setting[]): string {
  return settings.map(({ name, value }) => `${name}=${value}`).join("\n");
}

export function authorOf(task: TaskView): string | null {
  return task.status.plugin?.author ?? task.spec.source.marketplace?.author ?? null;
}
