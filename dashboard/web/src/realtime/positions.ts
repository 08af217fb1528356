/**
 * Where this browser stands in a channel's numbering. Pure. What was seen is dropped, a hole asks for the missing
 * part once, and a position is never forgotten by reconnecting: only by another epoch or a snapshot.
 */

export interface Position {
  epoch: string;
  seq: number;
  /** A hole was seen and the missing part asked for. */
  repairing: boolean;
}

export type Verdict = "apply" | "drop" | "gap";

/** Judge one numbered frame and return the position after it. */
export function accept(
  position: Position | null,
  frame: { epoch: string; seq: number; coalesced?: number | null | undefined },
  filtered: boolean,
): readonly [Position | null, Verdict] {
  if (position === null || position.epoch !== frame.epoch) return [position, "apply"];
  if (frame.seq <= position.seq) return [position, "drop"];
  const expected = position.seq + 1 + (frame.coalesced ?? 0);
  if (filtered || frame.seq <= expected) return [{ ...position, seq: frame.seq }, "apply"];
  return [{ ...position, repairing: true }, "gap"];
}

/** The server answered a `subscribe`: what was missing follows, or a snapshot does. */
export function subscribed(
  position: Position | null,
  answer: { epoch: string; recovered: boolean },
): Position | null {
  if (!answer.recovered || position?.epoch !== answer.epoch) return null;
  return { ...position, repairing: false };
}

/** Parameters with which to ask for what came after this position. */
export function since(position: Position | null): { since?: number; epoch?: string } {
  return position === null ? {} : { since: position.seq, epoch: position.epoch };
}
