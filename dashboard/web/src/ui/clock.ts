import { useSyncExternalStore } from "react";

/** One ticking clock for the whole page, running only while something shows it. */
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | null = null;
let now = Date.now();

function tick(): void {
  now = Date.now();
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (timer === null) {
    now = Date.now();
    timer = setInterval(tick, 1_000);
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0 || timer === null) return;
    clearInterval(timer);
    timer = null;
  };
}

/** The present moment in ms, renewed each second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

const never = () => () => {};

/** As `useNow`, but standing still for what does not change any more. */
export function useNowWhile(running: boolean): number {
  return useSyncExternalStore(running ? subscribe : never, () => now);
}
