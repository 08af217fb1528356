import type { TaskView } from "../api/types";
import { useWords } from "../i18n";
import { Elapsed } from "../ui/Times";
import { reasonText } from "./FailureNote";
import styles from "./TaskPage.module.css";

/** The operator's own attempts at this task, each with what came of it. Hidden while there is nothing to tell. */
export function Attempts({ task }: { task: TaskView }) {
  const { t } = useWords();
  const attempts = task.status.attempts ?? [];
  if (attempts.length === 0) return null;
  return (
    <details className={`card ${styles.fold}`} open={attempts.length > 1 || undefined}>
      <summary>
        {t("attempts.title")} <span className="muted">{attempts.length}</span>
      </summary>
      <div className={styles.scroll} role="region" aria-label={t("attempts.title")} tabIndex={0}>
        <table className={styles.table}>
          <thead>
            <tr>
              <th scope="col">{t("attempts.attempt")}</th>
              <th scope="col">{t("attempts.result")}</th>
              <th scope="col">{t("attempts.exit")}</th>
              <th scope="col">{t("attempts.took")}</th>
              <th scope="col">Job</th>
              <th scope="col">{t("attempts.message")}</th>
            </tr>
          </thead>
          <tbody>
            {attempts.map((attempt, index) => (
              <tr key={attempt.attempt ?? index}>
                <td>{attempt.attempt}</td>
                <td>{attempt.reason ? reasonText(attempt.reason, t) : t("stage.state.Done")}</td>
                <td>{attempt.exitCode ?? "–"}</td>
                <td>
                  <Elapsed from={attempt.startTime} to={attempt.completionTime} />
                </td>
                <td className="mono">{attempt.job}</td>
                <td>{attempt.message}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
