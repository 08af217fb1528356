/** What a task waits for, in words, and for how long about. Pure. */

import type { TaskView } from "../api/types";
import type { Translate } from "../i18n";
import { phaseOf } from "./describe";

/** As the operator writes it into the message of `Admitted=False` (repack_operator/slots.py); coarse, in steps. */
const POSITION = /^Position (\d+) in the queue: (.+?)\.?$/;
const WHYS = [
  [/^all (\d+) slots are in use$/, "queue.slots"],
  [/^the only slot is in use$/, "queue.slot"],
  [/^namespace (\S+) uses its (\d+) of (\d+)$/, "queue.namespace"],
  [/^at most (\S+) tasks are started a second$/, "queue.rate"],
  [/^those before it are being started$/, "queue.before"],
] as const;

export interface Place {
  position: number;
  /** As the operator says it. */
  why: string;
  /** How many run at once; null where that is not what it waits for. */
  slots: number | null;
}

function told(task: TaskView): string | null {
  const admitted = task.status.conditions?.find((condition) => condition.type === "Admitted");
  return admitted?.status === "False" ? (admitted.message ?? null) : null;
}

export function placeOf(task: TaskView): Place | null {
  const [, position, why] = POSITION.exec(told(task) ?? "") ?? [];
  if (position === undefined || why === undefined) return null;
  const slots = why === "the only slot is in use" ? "1" : WHYS[0][0].exec(why)?.[1];
  return { position: Number(position), why, slots: slots === undefined ? null : Number(slots) };
}

/** The reason in the reader's language; one that is not known in the operator's own words. */
function whyText(why: string, t: Translate): string {
  for (const [pattern, key] of WHYS) {
    const match = pattern.exec(why);
    if (!match) continue;
    const [, a = "", b = "", c = ""] = match;
    if (key === "queue.slots") return t(key, { n: a });
    if (key === "queue.namespace") return t(key, { namespace: a, used: b, most: c });
    return key === "queue.rate" ? t(key, { n: a }) : t(key);
  }
  return why;
}

/** Why it does not run yet; null once it does. What the operator says in words of its own is passed on. */
export function waitingText(task: TaskView, t: Translate): string | null {
  const phase = phaseOf(task);
  if (phase !== "Pending" && phase !== "Queued") return null;
  const place = placeOf(task);
  if (place !== null) return t("queue.position", { position: place.position, why: whyText(place.why, t) });
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
  if (place.slots === null || took.length < ENOUGH || median === undefined) return null;
  return Math.ceil(place.position / Math.max(1, place.slots)) * median;
}
