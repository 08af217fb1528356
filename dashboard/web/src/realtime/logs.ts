/** The lines of one attempt's log that the page holds: ordered by number, each once, the newest `capacity` of them. */

import type { LogLine } from "../api/types";

export interface LogView {
  lines: readonly LogLine[];
  /** A line before the first held one exists on the server. */
  hasOlder: boolean;
  /** Lines are missing between held ones and what came since: ask for those after this number. */
  missingAfter: number | null;
}

export const EMPTY_LOG: LogView = { lines: [], hasOlder: false, missingAfter: null };
export const CAPACITY = 100_000;

/** Add lines wherever they belong. Lines that were seen are dropped; a hole is noted and not shown over. */
export function withLines(log: LogView, added: readonly LogLine[], capacity = CAPACITY): LogView {
  const last = log.lines.at(-1)?.n ?? 0;
  const first = log.lines[0]?.n ?? Number.POSITIVE_INFINITY;
  const newer = added.filter((line) => line.n > last);
  const older = added.filter((line) => line.n < first && line.n <= last);
  if (newer.length === 0 && older.length === 0) return log;
  const hole = log.lines.length > 0 && newer[0] !== undefined && newer[0].n > last + 1;
  // Lines after a hole wait for the server's answer, which brings them again in order.
  if (hole) return { ...log, missingAfter: last };
  const lines = [...older, ...log.lines, ...newer].slice(-capacity);
  return { lines, hasOlder: (lines[0]?.n ?? 1) > 1, missingAfter: null };
}

/** Indices of the lines that contain the words, without regard to case. */
export function search(lines: readonly LogLine[], words: string): number[] {
  const wanted = words.trim().toLowerCase();
  if (wanted === "") return [];
  const found: number[] = [];
  for (let index = 0; index < lines.length; index += 1) {
    if (lines[index]?.text.toLowerCase().includes(wanted)) found.push(index);
  }
  return found;
}
