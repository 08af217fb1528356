import type { ReactNode } from "react";
import { type ApiError, UNREACHABLE } from "../api/client";
import { isKey, useWords } from "../i18n";
import { Icon } from "./Icon";
import styles from "./Note.module.css";

/** A failed call: what happened in the reader's language, the server's own words, what to do. */
export function ProblemNote({
  error,
  title,
  action,
}: {
  error: ApiError;
  title?: string;
  action?: ReactNode;
}) {
  const { t, language } = useWords();
  const key = `reason.${error.reason}`;
  const unreachable = error.reason === UNREACHABLE;
  const said = isKey(key) ? t(key as "reason.Internal") : null;
  return (
    <div className={`${styles.note} ${styles.failed}`} role="alert">
      <Icon name="warning" />
      <div className={styles.body}>
        <strong>{title ?? t("action.failed")}</strong>
        {unreachable && <span>{t("problem.ServerUnreachable")}</span>}
        {said !== null && language !== "en" && <span>{said}</span>}
        {!unreachable && <span className={styles.message}>{error.problem.detail}</span>}
        {error.problem.hint && <span>{error.problem.hint}</span>}
        {action && <div>{action}</div>}
      </div>
    </div>
  );
}
