/** What can be done to a task, when, and how: the list and the task page ask the same place. */

import { api } from "../api/client";
import type { TaskView } from "../api/types";
import { isFinal, phaseOf } from "./describe";

export type Action = "cancel" | "suspend" | "resume" | "rerun" | "delete";

/** The actions that make sense now, the most likely one first. */
export function actionsFor(task: TaskView): Action[] {
  if (task.deleting) return [];
  if (isFinal(task)) return ["rerun", "delete"];
  const phase = phaseOf(task);
  if (phase === "Cancelling" || task.spec.desiredState === "Cancelled") return ["delete"];
  if (phase === "Suspended" || task.spec.desiredState === "Suspended") return ["resume", "cancel", "delete"];
  return ["cancel", "suspend", "delete"];
}

/** Actions that lose something ask once. */
export function needsConfirmation(action: Action): action is "cancel" | "delete" {
  return action === "cancel" || action === "delete";
}

/** Do it; the changed or new task, null when there is none any more. */
export function perform(action: Action, task: TaskView): Promise<TaskView | null> {
  switch (action) {
    case "cancel":
      return api.cancel(task.uid);
    case "suspend":
      return api.suspend(task.uid);
    case "resume":
      return api.resume(task.uid);
    case "rerun":
      return api.rerun(task.uid);
    case "delete":
      return api.remove(task.uid).then(() => null);
  }
}

/** The form filled in as this task was: "run again with changes". */
export const clonePath = (task: { namespace: string; name: string }) =>
  `/new?from=${encodeURIComponent(task.namespace)}/${encodeURIComponent(task.name)}`;

export const taskPath = (task: { namespace: string; name: string }) =>
  `/tasks/${encodeURIComponent(task.namespace)}/${encodeURIComponent(task.name)}`;
