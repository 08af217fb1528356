/**
 * What is known of Dify's versions: which plugin daemon comes with them and how it installs a package. Pure.
 * Source: repackaging.md 4.4 and 5.1 (read from the daemon's tags; the column of Dify's versions from its releases).
 */

import type { Mode } from "../api/types";

export interface Dify {
  major: number;
  minor: number;
  patch: number;
}

const VERSION = /^v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,4}))?(?:[-+].*)?$/;

/** Read `1.13`, `1.13.2` or `v1.13.2-rc1`; null of anything else. */
export function difyOf(text: string): Dify | null {
  const [, major, minor, patch] = VERSION.exec(text.trim()) ?? [];
  if (major === undefined || minor === undefined) return null;
  return { major: Number(major), minor: Number(minor), patch: Number(patch ?? 0) };
}

export function isAtLeast(dify: Dify, major: number, minor: number): boolean {
  return dify.major > major || (dify.major === major && dify.minor >= minor);
}

/** How the daemon of a Dify installs a package; `none`: it has no plugins, `newer`: none that we tried. */
export type Way = "none" | "pip" | "uvPip" | "uvSync" | "uvSyncOrMirror" | "newer";

/** The newest Dify whose daemon's command line was tried (docs/compatibility.md). */
export const NEWEST = { major: 1, minor: 17 };
/** Generations of the daemon on which packages of both modes install (docs/compatibility.md). */
export const GENERATIONS = 13;

export function wayOf(dify: Dify): Way {
  if (dify.major < 1) return "none";
  if (isAtLeast(dify, NEWEST.major, NEWEST.minor + 1)) return "newer";
  if (isAtLeast(dify, 1, 15)) return "uvSyncOrMirror";
  if (isAtLeast(dify, 1, 12)) return "uvSync";
  return dify.minor === 0 && dify.patch === 0 ? "pip" : "uvPip";
}

/** The file that this daemon reads of a package of this mode: a package without a pyproject.toml leaves it no choice. */
export function fileRead(way: Way, mode: Mode): "requirements.txt" | "pyproject.toml" {
  return mode === "Dual" && (way === "uvSync" || way === "uvSyncOrMirror" || way === "newer")
    ? "pyproject.toml"
    : "requirements.txt";
}

/** A daemon that knows no keys but the Marketplace's (before 0.0.8, which came after Dify 1.2). */
export const knowsOwnKeys = (dify: Dify | null): boolean => dify === null || isAtLeast(dify, 1, 3);

/** The daemons 0.3.1 to 0.4.1 wanted Dify's own signature on plugins of langgenius; from 0.5.0 they do not. */
export const wantsOfficialSignature = (dify: Dify | null): boolean =>
  dify === null || !isAtLeast(dify, 1, 12);
