import type { Virtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";
import type { LogTaste } from "./logTaste";
import type { TaskLog } from "./useLog";

/** Height of a line that is not wrapped, in px. */
export const LINE = 20;
/** So near to the end counts as being at the end. */
const NEAR_END = LINE * 1.5;

/**
 * Stay at the end while following; leaving the end by hand pauses, coming back to it goes on. Returns the number of
 * lines that came since the pause, null while following.
 */
export function useFollowing(
  box: React.RefObject<HTMLDivElement | null>,
  virtual: Virtualizer<HTMLDivElement, Element>,
  log: TaskLog,
  taste: LogTaste,
  setTaste: (taste: LogTaste) => void,
): number | null {
  const last = log.lines.at(-1)?.n ?? 0;
  const count = log.lines.length;
  const pausedAt = useRef(last);
  if (taste.follow) pausedAt.current = last;
  // biome-ignore lint/correctness/useExhaustiveDependencies: each new last line, and each change of heights, scrolls
  useEffect(() => {
    if (taste.follow && count > 0) virtual.scrollToIndex(count - 1, { align: "end" });
  }, [taste.follow, taste.wrap, taste.time, last, count]);

  const latest = useRef({ taste, setTaste });
  latest.current = { taste, setTaste };
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    let before = element.scrollTop;
    const onScroll = () => {
      const { taste: now, setTaste: set } = latest.current;
      const rest = element.scrollHeight - element.scrollTop - element.clientHeight;
      // Only going up is a wish to leave; lines that arrive make the rest grow as well.
      if (now.follow && element.scrollTop < before - 2 && rest > NEAR_END) set({ ...now, follow: false });
      if (!now.follow && element.scrollTop > before && rest <= 2) set({ ...now, follow: true });
      before = element.scrollTop;
    };
    element.addEventListener("scroll", onScroll, { passive: true });
    return () => element.removeEventListener("scroll", onScroll);
  }, [box]);
  return taste.follow ? null : last - pausedAt.current;
}
