/** The lines of a log that the address names, and how they are chosen and brought into view. */

import { useCallback, useEffect, useRef, useState } from "react";
import type { LogLine } from "../api/types";
import { clicked, hashOf, type LineRange, rangeOf } from "./lineLinks";
import type { TaskLog } from "./useLog";

/** The lines that the address names. Those that are not held yet are fetched; who looks at a line follows no end. */
export function useLineRange(
  log: TaskLog,
  stopFollowing: (() => void) | null,
): [LineRange | null, (line: number, extend: boolean) => void] {
  const [range, setRange] = useState(() => rangeOf(window.location.hash));
  const first = log.lines[0]?.n ?? 0;
  const wanted = range?.from ?? 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked once for each beginning that is held
  useEffect(() => {
    if (wanted > 0 && first > wanted && !log.loading) log.loadOlder(wanted);
  }, [wanted, first, log.loading]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when a range is chosen
  useEffect(() => {
    if (range !== null) stopFollowing?.();
  }, [range]);
  const latest = useRef(range);
  latest.current = range;
  const choose = useCallback((line: number, extend: boolean) => {
    const next = clicked(latest.current, line, extend);
    setRange(next);
    history.replaceState(history.state, "", hashOf(next));
  }, []);
  return [range, choose];
}

/** Bring the range into view once, when its first line is held. */
export function useShowRange(
  range: LineRange | null,
  lines: readonly LogLine[],
  scrollTo: (index: number) => void,
): void {
  const shown = useRef<number | null>(null);
  const first = lines[0]?.n ?? Number.POSITIVE_INFINITY;
  // biome-ignore lint/correctness/useExhaustiveDependencies: lines that come later move nothing
  useEffect(() => {
    if (range === null || first > range.from || shown.current !== null) return;
    shown.current = range.from;
    const index = lines.findIndex((line) => line.n >= range.from);
    if (index >= 0) requestAnimationFrame(() => scrollTo(index));
  }, [range, first]);
}
