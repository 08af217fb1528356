/**
 * Rows do not move under the pointer: while it is over the list, tasks that are new wait outside. Pure; the hook below
 * keeps what was shown.
 */

import { useRef, useState } from "react";
import type { TaskView } from "../api/types";

export interface Held {
  rows: TaskView[];
  /** Number of tasks that wait. */
  waiting: number;
}

/** The rows to show of `now`, when those of `shown` (uids) lie under the pointer; null when nothing does. */
export function held(now: readonly TaskView[], shown: ReadonlyMap<string, number> | null): Held {
  if (shown === null) return { rows: [...now], waiting: 0 };
  const known = now.filter((task) => shown.has(task.uid));
  known.sort((a, b) => (shown.get(a.uid) ?? 0) - (shown.get(b.uid) ?? 0));
  return { rows: known, waiting: now.length - known.length };
}

/** `key` says what is asked for: another filter or order is shown at once. */
export function useHeld(tasks: readonly TaskView[], key: string) {
  const [over, setOver] = useState(false);
  const frozen = useRef<{ key: string; order: ReadonlyMap<string, number> } | null>(null);
  if (!over || frozen.current?.key !== key) frozen.current = null;
  if (over && frozen.current === null) {
    frozen.current = { key, order: new Map(tasks.map((task, index) => [task.uid, index])) };
  }
  return {
    ...held(tasks, frozen.current?.order ?? null),
    /** For the element that holds the rows. Touch has no pointer that rests. */
    pointer: {
      onPointerEnter: (event: React.PointerEvent) => event.pointerType === "mouse" && setOver(true),
      onPointerLeave: () => setOver(false),
    },
    release: () => setOver(false),
  };
}
