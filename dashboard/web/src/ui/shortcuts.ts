/** Keys that do something without the mouse, as long as nobody is typing. What they do each has a button too. */

import { useEffect, useRef } from "react";

export type Keys = Record<string, (() => void) | undefined>;

/** Whether keys belong to a field just now, or to a dialog that lies over the page. */
export function isTaken(event: Pick<KeyboardEvent, "target" | "ctrlKey" | "metaKey" | "altKey">): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  // A dialog has the keys from the moment it is there, even before it has taken the focus.
  if (document.querySelector("[role=dialog]") !== null) return true;
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable || target.closest("input, textarea, select, [role=dialog], [role=menu]") !== null
  );
}

export function useShortcuts(keys: Keys): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const act = latest.current[event.key];
      if (act === undefined || event.defaultPrevented || isTaken(event)) return;
      event.preventDefault();
      act();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
}
