import { useEffect, useRef } from "react";
import { useLocation } from "wouter";
import type { Phase, TaskView } from "../api/types";
import { useWords } from "../i18n";
import { useTasks } from "../realtime/live";
import { taskPath } from "../tasks/actions";
import { isFinal, phaseOf, pluginName } from "../tasks/describe";
import { decoded } from "./paths";
import { type Toast, useToasts } from "./Toasts";

/** The tasks that have ended since `before`; a task that was not known then ended elsewhere, earlier. Pure. */
export function endedSince(before: ReadonlyMap<string, Phase>, tasks: readonly TaskView[]): TaskView[] {
  return tasks.filter((task) => {
    const phase = before.get(task.uid);
    return phase !== undefined && phase !== phaseOf(task) && isFinal(task) && !task.spec.dryRun;
  });
}

/** Tells what ended elsewhere: not the task whose page is open, and nothing while the list is in view. */
export function EndedToasts() {
  const { t } = useWords();
  const [path] = useLocation();
  const { tasks } = useTasks();
  const { say } = useToasts();
  const before = useRef<ReadonlyMap<string, Phase>>(new Map());
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a change of the tasks is news
  useEffect(() => {
    const ended = endedSince(before.current, tasks);
    before.current = new Map(tasks.map((task) => [task.uid, phaseOf(task)]));
    if (path === "/" || path === "/new") return;
    for (const task of ended) {
      if (decoded(path) === decoded(taskPath(task))) continue;
      const phase = phaseOf(task) as "Succeeded" | "Failed" | "Cancelled";
      const looks: Record<typeof phase, Toast["look"]> = {
        Succeeded: "succeeded",
        Failed: "failed",
        Cancelled: "pending",
      };
      say({
        look: looks[phase],
        text: t(`toast.${phase}`, { name: pluginName(task) }),
        link: { href: taskPath(task), text: t("toast.look") },
      });
    }
  }, [tasks]);
  return null;
}
