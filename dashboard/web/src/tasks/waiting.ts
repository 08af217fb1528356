/** What a task waits for, in words, and for how long about. Pure. */

import type { TaskView } from "../api/types";
import type { Translate } from "../i18n";
import { phaseOf } from "./describe";

/** As the operator writes it into the message of `Admitted=False` (repack_operator/decide.py); coarse, in steps. */
const POSITION = /^Position (\d+) in the queue: all (\d+) slots? (?:are|is) in use\.?/;

export interface Place {
  position: number;
  slots: number;
}

function told(task: TaskView): string | null {
  const admitted = task.status.conditions?.find((condition) => condition.type === "Admitted");
  return admitted?.status === "False" ? (admitted.message ?? null) : null;
}

export function placeOf(task: TaskView): Place | null {
  const match = POSITION.exec(told(task) ?? "");
  return match ? { position: Number(match[1]), slots: Number(match[2]) } : null;
}

/** Why it does not run yet; null once it does. What the operator says in words of its own is passed on. */
export function waitingText(task: TaskView, t: Translate): string | null {
  const phase = phaseOf(task);
  if (phase !== "Pending" && phase !== "Queued") return null;
  const place = placeOf(task);
  if (place !== null) return t("queue.position", { position: place.position, slots: place.slots });
  return told(task) ?? t(phase === "Queued" ? "timeline.queued" : "timeline.pending");
}

const ENOUGH = 3;
const LAST = 20;

/**
 * About how many ms until it begins: as many rounds of a usual task as stand before it. null while too few tasks have
 * ended to know what is usual.
 */
export function etaOf(place: Place, tasks: readonly TaskView[]): number | null {
  const took = tasks
    .filter((task) => !task.spec.dryRun && task.status.phase === "Succeeded")
    .slice(0, LAST)
    .flatMap((task) => {
      const { startTime, completionTime } = task.status;
      const span = Date.parse(completionTime ?? "") - Date.parse(startTime ?? "");
      return Number.isFinite(span) ? [span] : [];
    })
    .sort((a, b) => a - b);
  const median = took[Math.floor(took.length / 2)];
  if (took.length < ENOUGH || median === undefined) return null;
  return Math.ceil(place.position / Math.max(1, place.slots)) * median;
}
