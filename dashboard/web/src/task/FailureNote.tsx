import type { TaskView } from "../api/types";
import { isKey, type Translate, useWords } from "../i18n";
import { phaseOf, splitHint } from "../tasks/describe";
import { CopyButton } from "../ui/CopyButton";
import { Icon } from "../ui/Icon";
import styles from "../ui/Note.module.css";

/** What happened, the culprit, and what to do. In Chinese the server's own (English) words follow the translation. */
export function FailureNote({ task }: { task: TaskView }) {
  const { t, language } = useWords();
  const phase = phaseOf(task);
  const { reason } = task.status;
  if (phase !== "Failed" && phase !== "Retrying") return null;
  const { message, hint } = splitHint(task.status.message ?? "");
  const retrying = phase === "Retrying";
  return (
    <div
      className={`${styles.note} ${retrying ? styles.warning : styles.failed}`}
      role={retrying ? "status" : "alert"}
    >
      <Icon name={retrying ? "retry" : "cross"} />
      <div className={styles.body}>
        <strong>
          {retrying && `${t("failure.retrying")} `}
          {reasonText(reason, t)}
        </strong>
        {message && <span className={`${styles.message} ${styles.plain}`}>{message}</span>}
        <span className={styles.plain}>
          <strong>{t("failure.hint")} </strong>
          {language === "en" && hint ? hint : hintText(reason, hint, t)}
        </span>
      </div>
      <div className={styles.copy}>
        <CopyButton text={`${reason ?? "Failed"}: ${task.status.message ?? ""}`} what={t("failure.words")} />
      </div>
    </div>
  );
}

export function reasonText(reason: string | null | undefined, t: Translate): string {
  const key = `reason.${reason}`;
  return isKey(key) ? t(key as "reason.Internal") : t("reason.other", { reason: reason ?? "?" });
}

function hintText(reason: string | null | undefined, hint: string | null, t: Translate): string {
  const key = `hint.${reason}`;
  return isKey(key) ? t(key as "hint.Internal") : (hint ?? t("hint.Internal"));
}
