/** The ways to name a plugin, as far as this installation offers them; the one used last comes first next time. */

import type { ClientConfig } from "../api/types";

export type Way = "marketplace" | "link" | "upload";

const STORED = "repack.way";

export function waysOf(config: ClientConfig): { all: Way[]; first: (wanted: Way | null) => Way } {
  const { sources } = config;
  const all: Way[] = [];
  if (sources.includes("Upload")) all.push("upload");
  if (sources.some((source) => source !== "Upload")) all.push("link");
  if (config.marketplace && sources.includes("Marketplace")) all.push("marketplace");
  return {
    all,
    first: (wanted) =>
      [wanted, remembered()].find((way) => way !== null && all.includes(way)) ?? all[0] ?? "link",
  };
}

function remembered(): Way | null {
  try {
    return localStorage.getItem(STORED) as Way | null;
  } catch {
    return null;
  }
}

export function rememberWay(way: Way): void {
  try {
    localStorage.setItem(STORED, way);
  } catch {
    // Not remembered, then.
  }
}
