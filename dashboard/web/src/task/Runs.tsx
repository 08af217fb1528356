import { useMemo } from "react";
import { Link } from "wouter";
import type { TaskView } from "../api/types";
import { useWords } from "../i18n";
import { useTasks } from "../realtime/live";
import { taskPath } from "../tasks/actions";
import { phaseOf, RERUN_OF } from "../tasks/describe";
import { StatusBadge } from "../ui/StatusBadge";
import { Ago } from "../ui/Times";
import styles from "./TaskPage.module.css";

/** All tasks that run the same thing again, by the label that names the one before. Pure. */
export function lineageOf(task: TaskView, tasks: readonly TaskView[]): TaskView[] {
  const mine = tasks.filter((each) => each.namespace === task.namespace);
  const related = new Set([task.name]);
  let size = 0;
  while (related.size !== size) {
    size = related.size;
    for (const each of mine) {
      const before = each.labels[RERUN_OF];
      if (before === undefined) continue;
      if (related.has(before)) related.add(each.name);
      if (related.has(each.name)) related.add(before);
    }
  }
  return mine.filter((each) => related.has(each.name));
}

export function Runs({ task }: { task: TaskView }) {
  const { t } = useWords();
  const { tasks } = useTasks();
  const runs = useMemo(() => lineageOf(task, tasks), [task, tasks]);
  if (runs.length < 2) return null;
  return (
    <section className={`card ${styles.stack}`} aria-label={t("runs.title")}>
      <h2>{t("runs.title")}</h2>
      <table className={styles.table}>
        <tbody>
          {runs.map((run) => (
            <tr key={run.uid}>
              <td>
                {run.uid === task.uid ? (
                  <strong className="mono">{run.name}</strong>
                ) : (
                  <Link className="mono" href={taskPath(run)}>
                    {run.name}
                  </Link>
                )}
              </td>
              <td>
                <StatusBadge phase={phaseOf(run)} />
              </td>
              <td className="muted">
                <Ago at={run.createdAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
