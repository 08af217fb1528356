/** How this browser's user likes the page, and which Dify they have: kept in this browser and nowhere else. */

import { useSyncExternalStore } from "react";

export interface Taste {
  /** "3 min ago", or the moment itself. */
  time: "relative" | "exact";
  /** Height of the rows of lists. */
  density: "comfortable" | "compact";
  /** Version of the user's Dify, such as `1.13.2`; "" where it is not known. It only chooses the advice that is given. */
  dify: string;
}

export const PLAIN_TASTE: Taste = { time: "relative", density: "comfortable", dify: "" };
const STORED = "repack.taste";

/** What stands in the browser's storage; whatever is not understood there is as if it were not. Pure. */
export function tasteOf(stored: string | null): Taste {
  try {
    const value: unknown = JSON.parse(stored ?? "{}");
    if (typeof value !== "object" || value === null) return PLAIN_TASTE;
    const { time, density, dify } = value as Partial<Taste>;
    return {
      time: time === "exact" ? time : PLAIN_TASTE.time,
      density: density === "compact" ? density : PLAIN_TASTE.density,
      dify: typeof dify === "string" ? dify.slice(0, 32) : PLAIN_TASTE.dify,
    };
  } catch {
    return PLAIN_TASTE;
  }
}

const listeners = new Set<() => void>();
let current = tasteOf(read());

function read(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

function become(next: Taste): void {
  current = next;
  for (const listener of listeners) listener();
}

/** Another tab of the same browser has changed it. */
function onStorage(event: StorageEvent): void {
  if (event.key === STORED || event.key === null) become(tasteOf(read()));
}

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) window.addEventListener("storage", onStorage);
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) window.removeEventListener("storage", onStorage);
  };
}

export function setTaste(part: Partial<Taste>): void {
  become({ ...current, ...part });
  try {
    localStorage.setItem(STORED, JSON.stringify(current));
  } catch {
    // Not remembered, then; the choice holds until the page is left.
  }
}

export function useTaste(): Taste {
  return useSyncExternalStore(subscribe, () => current);
}
