/** `#L120` and `#L120-L140` in the address: the lines of the log that somebody wants to show somebody. Pure. */

export interface LineRange {
  from: number;
  to: number;
}

const HASH = /^#L(\d{1,9})(?:-L(\d{1,9}))?$/;

export function rangeOf(hash: string): LineRange | null {
  const match = HASH.exec(hash);
  if (!match) return null;
  const [a, b] = [Number(match[1]), Number(match[2] ?? match[1])];
  return { from: Math.min(a, b), to: Math.max(a, b) };
}

export function hashOf({ from, to }: LineRange): string {
  return from === to ? `#L${from}` : `#L${from}-L${to}`;
}

/** A click on a line's number chooses it; with shift everything between it and what was chosen. */
export function clicked(range: LineRange | null, line: number, extend: boolean): LineRange {
  if (!extend || range === null) return { from: line, to: line };
  return line < range.from ? { from: line, to: range.to } : { from: range.from, to: line };
}
